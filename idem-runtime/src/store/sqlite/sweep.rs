//! Deleting the rows that nobody needs any more, a bounded number at a time.

use rusqlite::{Connection, params};

use super::failure::Failure;
use super::rows::{self, columns};
use super::writer::Writer;
use crate::clock;
use crate::protocol::Micros;
use crate::store::Key;

/// The condition of [`Row::is_sweepable`](crate::protocol::Row::is_sweepable), so that a row that is due and still
/// needed is not looked at again and again: what is found is asked once more.
const DUE: &str = concat!(
    "SELECT scope, key, ",
    columns!(),
    " FROM idempotency WHERE purge_at <= ?1 AND (state IN (2, 4) OR until <= ?1) ORDER BY purge_at"
);

/// Deletes at most `at_most` rows in one transaction. Takes no lock where there is nothing to delete, and never syncs:
/// a row that comes back after a power loss is swept again.
pub(super) fn sweep(writer: &mut Writer, at_most: usize) -> Result<usize, Failure> {
    if due(&writer.connection, clock::now(), 1)?.is_empty() {
        return Ok(0);
    }
    writer.without_sync()?;
    writer.in_transaction(|connection| {
        let keys = due(connection, clock::now(), at_most)?;
        for (scope, key) in &keys {
            rows::delete(connection, scope, key)?;
        }
        Ok((true, keys.len()))
    })
}

/// The keys whose rows may be deleted, those first that could be for longest.
fn due(connection: &Connection, now: Micros, at_most: usize) -> Result<Vec<(String, Key)>, Failure> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(DUE)?;
    let mut found = statement.query(params![number(now)])?;
    let mut keys = Vec::new();
    while keys.len() < at_most
        && let Some(columns) = found.next()?
    {
        // A row that can't be read is left for someone to look at, and keeps nobody from those behind it.
        if let (scope, Some(key)) = rows::read_key(columns)?
            && rows::read(columns, 2).is_ok_and(|row| row.is_sweepable(now))
        {
            keys.push((scope, key));
        }
    }
    Ok(keys)
}
