//! Claims, one or many at a time.

use std::sync::Arc;

use sqlx::mysql::MySqlRow;

use super::dialect::MySql;
use super::{Inner, place_of, room_for, rows, statements};
use crate::protocol::{self, Operation, State};
use crate::store::sql::{Claiming, Failure, Lanes, Work};
use crate::store::{ClaimAnswer, Grant};

/// Claims of one store.
#[derive(Clone)]
pub(super) struct Claims(pub(super) Arc<Inner>);

impl Work for Claims {
    type Request = Claiming;
    type Answer = ClaimAnswer;
    type Dialect = MySql;

    fn lanes(&self) -> &Lanes<Claiming, ClaimAnswer> {
        &self.0.claiming
    }

    async fn send(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(self.0.fitting(rest, room_for));
            answers.extend(self.0.claim(batch).await?);
            rest = after;
        }
        Ok(answers)
    }
}

impl Inner {
    /// Tries to write each row, and looks at what is there then. `None`: it was free when it was looked at, so another
    /// claim got in between, or its lease has just ended.
    async fn claim(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let mut script = self.session.batch(requests.len());
        for request in requests {
            statements::claim(&mut script.sql, request)?;
        }
        let keys: Vec<_> = requests.iter().map(|request| place_of(*request)).collect();
        statements::read(&mut script.sql, &keys)?;
        let mut answers = vec![None; requests.len()];
        for columns in &self.session.fetch(script).await? {
            let nth = keys.binary_search(&rows::place(columns)?).ok();
            if let Some((answer, request)) = nth.and_then(|nth| answers.get_mut(nth).zip(requests.get(nth))) {
                *answer = told(columns, request)?;
            }
        }
        Ok(answers)
    }
}

/// What the row of a key says to a claim.
fn told(columns: &MySqlRow, request: &Claiming) -> Result<Option<ClaimAnswer>, Failure> {
    let row = rows::read(columns, &request.scope, &request.key)?;
    if row.state == State::Running && row.owner == request.owner {
        let grant = Grant { fence: row.fence, attempt: row.attempt, previous: row.previous };
        return Ok(Some(ClaimAnswer::Acquired(grant)));
    }
    let next = protocol::step(Some(&row), Operation::Claim(&request.request()), rows::now(columns)?);
    if next.row.is_some() {
        return Ok(None);
    }
    let record = rows::record(columns)?;
    Ok(Some(next.reply.into_claim(|| record)))
}
