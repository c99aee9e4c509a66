//! Reading the database's answers.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::statements::ROW_LEN;
use crate::protocol::{Micros, Row};
use crate::store::sql::{self, Columns, Failure};
use crate::store::{Grant, Key, Record};

/// Reads a row, and the server's clock when it was read: the columns from `first` on.
pub(super) fn read(columns: &PgRow, first: usize, scope: &str, key: &Key) -> Result<(Row, Micros), Failure> {
    let now: i64 = columns.try_get(first)?;
    let at = |nth: usize| first + 1 + nth;
    let row = Columns {
        state: columns.try_get(at(0))?,
        owner: columns.try_get(at(1))?,
        fence: columns.try_get(at(2))?,
        until: columns.try_get(at(3))?,
        doubt: columns.try_get(at(4))?,
        previous: columns.try_get(at(5))?,
        previous_fence: columns.try_get(at(6))?,
        attempt: columns.try_get(at(7))?,
        fingerprint: columns.try_get(at(8))?,
        ended: columns.try_get(at(9))?,
        purge_at: columns.try_get(at(10))?,
    };
    let row = row.row().map_err(|column| Failure::corrupt(scope, key, column))?;
    Ok((row, now.unsigned_abs()))
}

/// Reads the record, which follows the row.
pub(super) fn record(columns: &PgRow, first: usize) -> Result<Option<Record>, Failure> {
    let record: Option<Vec<u8>> = columns.try_get(first + 1 + ROW_LEN)?;
    Ok(record.map(|record| Record::from_bytes(&record)))
}

/// Reads the scope and the key, which follow the row.
pub(super) fn place(columns: &PgRow) -> Result<(String, Vec<u8>), Failure> {
    Ok((columns.try_get(1 + ROW_LEN)?, columns.try_get(2 + ROW_LEN)?))
}

/// Reads the grant of a claim, from columns in the order of [`read`].
pub(super) fn grant(columns: &PgRow, first: usize, scope: &str, key: &Key) -> Result<Grant, Failure> {
    let at = |nth: usize| first + 1 + nth;
    let before = (columns.try_get(at(5))?, columns.try_get(at(6))?);
    let granted = sql::grant(columns.try_get(at(2))?, before, columns.try_get(at(7))?);
    granted.map_err(|column| Failure::corrupt(scope, key, column))
}

/// An answer to a request that wasn't sent.
pub(super) const NOT_ASKED: Failure = Failure::Unexpected("an answer to no request");

/// The index of the request that an answer is for.
pub(super) fn nth(columns: &PgRow) -> Result<usize, Failure> {
    let ordinal: i64 = columns.try_get(0)?;
    usize::try_from(ordinal - 1).map_err(|_| NOT_ASKED)
}
