//! Sweeping: deleting the rows that are no longer needed, for a short time at a time.

use std::time::{Duration, Instant};

use rusqlite::params;

use super::failure::Failure;
use super::file::File;
use super::log;
use super::rows;
use super::session::Session;
use crate::protocol::Micros;
use crate::store::{Key, clock};

/// How long one transaction deletes rows. Other requests wait for the writer for that long, and for the commit, which
/// writes a page for nearly each row. With longer turns, the commit and the checkpoint of the log after it took twice
/// as long as the turn.
const TURN: Duration = Duration::from_micros(500);

/// How many rows are deleted between two looks at the time.
const CHUNK: usize = 16;

/// The result of one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Swept {
    pub(super) rows: usize,
    /// Whether there may be more to delete.
    pub(super) more: bool,
}

/// Deletes at most `at_most` rows in one transaction of about [`TURN`]. Takes no lock if no row is due. Never syncs,
/// because a row that comes back after a power loss is swept again.
pub(super) fn sweep(session: &mut Session, at_most: usize) -> Result<Swept, Failure> {
    if due(&session.file, clock::now(), 1)?.is_empty() {
        return Ok(Swept { rows: 0, more: false });
    }
    log::check(&session.file, session.options.busy_timeout)?;
    session.set_sync(false)?;
    session.in_transaction(|file| {
        let begun = Instant::now();
        let now = clock::now();
        let mut swept = Swept { rows: 0, more: true };
        while swept.more && swept.rows < at_most && begun.elapsed() < TURN {
            let chunk = CHUNK.min(at_most - swept.rows);
            let keys = due(file, now, chunk)?;
            for (scope, key) in &keys {
                rows::delete(file, scope, key)?;
            }
            swept.rows += keys.len();
            swept.more = keys.len() == chunk;
        }
        Ok((true, swept))
    })
}

/// The keys whose rows may be deleted, the longest due first.
fn due(file: &File, now: Micros, at_most: usize) -> Result<Vec<(String, Key)>, Failure> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut statement = file.prepare_cached(&file.texts.due)?;
    let mut found = statement.query(params![number(now)])?;
    let mut keys = Vec::new();
    while keys.len() < at_most
        && let Some(columns) = found.next()?
    {
        // A row that can't be read is skipped, so that an operator can look at it, and the rows after it are swept.
        if let (scope, Some(key)) = rows::read_key(columns)?
            && rows::read(columns, 2).is_ok_and(|row| row.is_sweepable(now))
        {
            keys.push((scope, key));
        }
    }
    Ok(keys)
}
