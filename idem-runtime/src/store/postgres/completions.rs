//! Completing one key or many in one statement.

use std::sync::Arc;

use super::dialect::Postgres;
use super::{Inner, params, rows};
use crate::store::Standing;
use crate::store::numbers::{integer, interval, purge_window};
use crate::store::sql::{Completing, Failure, Lanes, Work};

/// The completions of one store.
#[derive(Clone)]
pub(super) struct Completions(pub(super) Arc<Inner>);

impl Work for Completions {
    type Request = Completing;
    type Answer = Standing;
    type Dialect = Postgres;

    fn lanes(&self) -> &Lanes<Completing, Standing> {
        &self.0.completing
    }

    async fn send(&self, requests: &[&Completing]) -> Result<Vec<Option<Standing>>, Failure> {
        self.0.complete(requests).await
    }
}

impl Inner {
    /// Completes keys in one statement.
    async fn complete(&self, requests: &[&Completing]) -> Result<Vec<Option<Standing>>, Failure> {
        let params = [
            params::texts(requests, |request| &request.scope),
            params::byte_strings(requests, |request| Some(request.key.as_bytes())),
            params::byte_strings(requests, |request| Some(&request.owner.0)),
            params::integers(requests, |request| Some(integer(request.fence))),
            params::byte_strings(requests, |request| Some(request.record.as_bytes())),
            params::integers(requests, |request| Some(interval(request.ttl))),
            params::integers(requests, |request| Some(purge_window(request.stays).0)),
            params::integers(requests, |request| Some(purge_window(request.stays).1)),
        ];
        let rows = self.session.fetch(self.statements.complete.of(requests.len()), &params).await?;
        let mut answers = vec![Some(Standing::Lost); requests.len()];
        for columns in &rows {
            if let Some(answer) = answers.get_mut(rows::nth(columns)?) {
                *answer = Some(Standing::Held);
            }
        }
        Ok(answers)
    }
}
