//! Reading the server's answers.

use sqlx::Row as _;
use sqlx::mysql::MySqlRow;

use crate::protocol::{Micros, Row};
use crate::store::sql::{Columns, Failure};
use crate::store::{Key, Record};

/// The columns that [`read`] and [`place`] read. The time comes first: if a packet began with the length of a large
/// value, the driver would take it for another kind of packet.
macro_rules! columns {
    () => {
        "scope, `key`, state, owner, fence, until, doubt, previous, previous_fence, attempt, fingerprint, ended, purge_at"
    };
}
pub(super) use columns;

/// Reads the server's clock when the row was read.
pub(super) fn now(columns: &MySqlRow) -> Result<Micros, Failure> {
    let now: i64 = columns.try_get(0)?;
    Ok(now.unsigned_abs())
}

/// Reads the scope and the key of a row.
pub(super) fn place(columns: &MySqlRow) -> Result<(&[u8], &[u8]), Failure> {
    Ok((columns.try_get(1)?, columns.try_get(2)?))
}

/// Reads the row of this key.
pub(super) fn read(columns: &MySqlRow, scope: &str, key: &Key) -> Result<Row, Failure> {
    let row = Columns {
        state: columns.try_get(3)?,
        owner: columns.try_get(4)?,
        fence: columns.try_get(5)?,
        until: columns.try_get(6)?,
        doubt: columns.try_get(7)?,
        previous: columns.try_get(8)?,
        previous_fence: columns.try_get(9)?,
        attempt: columns.try_get(10)?,
        fingerprint: columns.try_get(11)?,
        ended: columns.try_get(12)?,
        purge_at: columns.try_get(13)?,
    };
    row.row().map_err(|column| Failure::corrupt(scope, key, column))
}

/// Reads the record, which follows the row.
pub(super) fn record(columns: &MySqlRow) -> Result<Option<Record>, Failure> {
    let record: Option<&[u8]> = columns.try_get(14)?;
    Ok(record.map(Record::from_bytes))
}
