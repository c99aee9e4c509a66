//! Completing one key or many at a time.

use std::sync::Arc;

use sqlx::Row as _;

use super::dialect::MySql;
use super::{Inner, place_of, room_for, rows, statements};
use crate::store::Standing;
use crate::store::numbers::integer;
use crate::store::sql::{Completing, Failure, Lanes, Work};

/// The completions of one store.
#[derive(Clone)]
pub(super) struct Completions(pub(super) Arc<Inner>);

impl Work for Completions {
    type Request = Completing;
    type Answer = Standing;
    type Dialect = MySql;

    fn lanes(&self) -> &Lanes<Completing, Standing> {
        &self.0.completing
    }

    async fn send(&self, requests: &[&Completing]) -> Result<Vec<Option<Standing>>, Failure> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let size = |request: &Completing| 2 * request.record.as_bytes().len() + room_for(request);
            let (batch, after) = rest.split_at(self.0.fitting(rest, size));
            answers.extend(self.0.complete(batch).await?.into_iter().map(Some));
            rest = after;
        }
        Ok(answers)
    }
}

impl Inner {
    async fn complete(&self, requests: &[&Completing]) -> Result<Vec<Standing>, Failure> {
        let mut script = self.session.batch(requests.len());
        for request in requests {
            statements::complete(&mut script, request)?;
        }
        if requests.len() == 1 {
            let found = self.session.execute(script).await?;
            return Ok(vec![if found > 0 { Standing::Held } else { Standing::Lost }]);
        }
        let keys: Vec<_> = requests.iter().map(|request| place_of(*request)).collect();
        statements::read_completed(&mut script, &keys)?;
        let mut answers = vec![Standing::Lost; requests.len()];
        for columns in &self.session.fetch(script).await? {
            let place = rows::place(columns)?;
            let (owner, fence): (&[u8], i64) = (columns.try_get(3)?, columns.try_get(4)?);
            let nth = keys.binary_search(&place).ok();
            if let Some((answer, request)) = nth.and_then(|nth| answers.get_mut(nth).zip(requests.get(nth)))
                && owner == request.owner.0
                && fence == integer(request.fence)
            {
                *answer = Standing::Held;
            }
        }
        Ok(answers)
    }
}
