//! Claiming one key or many in one statement.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::dialect::Postgres;
use super::params::{self, Param};
use super::{Inner, rows};
use crate::protocol::{self, Operation};
use crate::store::ClaimAnswer;
use crate::store::numbers::{interval, purge_window};
use crate::store::sql::{Claiming, Failure, Lanes, Work};

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
            let (nth, answer) = told(columns, requests)?;
            if let Some(place) = answers.get_mut(nth) {
                *place = answer;
            }
        }
        Ok(answers)
    }
}

/// The index of the request that a row answers, and the answer.
fn told(columns: &PgRow, requests: &[&Claiming]) -> Result<(usize, Option<ClaimAnswer>), Failure> {
    const ROW: usize = 3;
    let is_granted = columns.try_get::<Option<i64>, _>(0)?.is_none();
    let nth = if is_granted { granted(columns, requests)? } else { rows::nth(columns)? };
    let request = requests.get(nth).ok_or(rows::NOT_ASKED)?;
    if is_granted {
        let grant = rows::grant(columns, ROW, &request.scope, &request.key)?;
        return Ok((nth, Some(ClaimAnswer::Acquired(grant))));
    }
    let (row, now) = rows::read(columns, ROW, &request.scope, &request.key)?;
    let next = protocol::step(Some(&row), Operation::Claim(&request.request()), now);
    let record = rows::record(columns, ROW)?;
    // A claim that would get the key by the row that was read is sent again.
    Ok((nth, next.row.is_none().then(|| next.reply.into_claim(|| record))))
}

/// The index of the request whose key was granted. The requests are in the order of scope and key. The database doesn't
/// join them with the rows that it has written, because it would compare each with each.
fn granted(columns: &PgRow, requests: &[&Claiming]) -> Result<usize, Failure> {
    if requests.len() == 1 {
        return Ok(0);
    }
    let (scope, key): (String, Vec<u8>) = (columns.try_get(1)?, columns.try_get(2)?);
    let found = requests.binary_search_by(|request| (&*request.scope, request.key.as_bytes()).cmp(&(&scope, &key)));
    found.map_err(|_| rows::NOT_ASKED)
}
