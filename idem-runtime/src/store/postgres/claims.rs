//! Claiming one key or many in one statement.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::dialect::Postgres;
use super::params::{self, Param};
use super::{Inner, rows};
use crate::protocol::{self, Operation};
use crate::store::numbers::{interval, purge_window};
use crate::store::sql::{Claiming, Failure, Lanes, Work};
use crate::store::{ClaimAnswer, Grant};

/// Claims that take orphans over (`TAKE`), or refuse them.
#[derive(Clone)]
pub(super) struct Claims<const TAKE: bool>(pub(super) Arc<Inner>);

impl<const TAKE: bool> Work for Claims<TAKE> {
    type Request = Claiming;
    type Answer = ClaimAnswer;
    type Dialect = Postgres;

    fn lanes(&self) -> &Lanes<Claiming, ClaimAnswer> {
        if TAKE { &self.0.taking } else { &self.0.refusing }
    }

    async fn send(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        self.0.claim(requests, TAKE).await
    }
}

impl Inner {
    /// Claims keys in one statement. An answer is `None` if another claim of the key came first, and the request has to
    /// be sent again.
    async fn claim(&self, requests: &[&Claiming], take: bool) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let params = [
            params::texts(requests, |request| &request.scope),
            params::byte_strings(requests, |request| Some(request.key.as_bytes())),
            params::byte_strings(requests, |request| Some(&request.owner.0)),
            params::integers(requests, |request| Some(interval(request.lease))),
            params::byte_strings(requests, |request| Some(&request.fingerprint.as_ref()?.0)),
            params::integers(requests, |request| Some(purge_window(request.request().stays()?).1)),
            Param::Flag(take),
        ];
        let rows = self.session.fetch(self.statements.claim.of(requests.len()), &params).await?;
        let mut answers = vec![None; requests.len()];
        for columns in &rows {
            let nth = rows::nth(columns)?;
            let (Some(answer), Some(request)) = (answers.get_mut(nth), requests.get(nth)) else { continue };
            *answer = told(columns, request)?;
        }
        Ok(answers)
    }
}

/// The answer to a claim, from the row of its key.
fn told(columns: &PgRow, request: &Claiming) -> Result<Option<ClaimAnswer>, Failure> {
    const ROW: usize = 2;
    let (row, now) = rows::read(columns, ROW, &request.scope, &request.key)?;
    if columns.try_get(1)? {
        let grant = Grant { fence: row.fence, attempt: row.attempt, previous: row.previous };
        return Ok(Some(ClaimAnswer::Acquired(grant)));
    }
    let next = protocol::step(Some(&row), Operation::Claim(&request.request()), now);
    if next.row.is_some() {
        // The key was free when it was read: another claim got it in between, or its lease has just ended.
        return Ok(None);
    }
    let record = rows::record(columns, ROW)?;
    Ok(Some(next.reply.into_claim(|| record)))
}
