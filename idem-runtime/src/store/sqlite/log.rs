//! The write-ahead log beside the file, and how long it may get.

use std::time::Duration;

use rusqlite::Connection;

use super::failure::Failure;

/// Nothing is swept while the log has more bytes than this. Every page that is written is added to the log until it can
/// start over, which it can't while somebody reads what it holds.
const MOST: u64 = 64 * 1024 * 1024;

/// Fails where the log is too long, and can't start over because it is in use.
pub(super) fn check(connection: &Connection, busy_timeout: Duration) -> Result<(), Failure> {
    let log = connection.path().map(|path| format!("{path}-wal"));
    // Where its length can't be told, there is nothing to wait for.
    let length = || log.as_ref().and_then(|log| std::fs::metadata(log).ok()).map_or(0, |log| log.len());
    if length() <= MOST {
        return Ok(());
    }
    // It keeps its length when it starts over with the next commit: so this cuts it. Whoever reads isn't waited for.
    connection.busy_timeout(Duration::ZERO)?;
    let cut = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    connection.busy_timeout(busy_timeout)?;
    cut?;
    match length() {
        length if length <= MOST => Ok(()),
        bytes => Err(Failure::LongLog { bytes }),
    }
}
