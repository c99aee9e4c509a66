//! The write-ahead log beside the file, and how long it may get.

use std::time::Duration;

use rusqlite::Connection;

use super::failure::Failure;

/// Nothing is swept while the log has more bytes than this. Each page that is written is added to the log until the log
/// can start over. It can't start over while a reader uses what it contains.
const MOST: u64 = 64 * 1024 * 1024;

/// Fails if the log is too long and can't start over because it is in use.
pub(super) fn check(connection: &Connection, busy_timeout: Duration) -> Result<(), Failure> {
    let log = connection.path().map(|path| format!("{path}-wal"));
    // If its length isn't known, it counts as short.
    let length = || log.as_ref().and_then(|log| std::fs::metadata(log).ok()).map_or(0, |log| log.len());
    if length() <= MOST {
        return Ok(());
    }
    // The log keeps its length when it starts over, so this truncates it. It doesn't wait for readers.
    connection.busy_timeout(Duration::ZERO)?;
    let cut = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(busy_timeout)?;
    cut?;
    match length() {
        length if length <= MOST => Ok(()),
        bytes => Err(Failure::LongLog { bytes }),
    }
}
