//! Numbers in the types that SQL has.

use std::time::Duration;

use crate::protocol::micros;

/// The longest scope, in bytes. Together with the longest key it fits into a primary key of every database.
pub(crate) const MAX_SCOPE_LEN: usize = 1024;

/// A number as SQL's signed 64-bit integer; a larger one becomes the largest.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A duration in microseconds, as SQL's signed 64-bit integer.
pub(crate) fn interval(duration: Duration) -> i64 {
    integer(micros(duration))
}

/// The least and the greatest distance of a row's `purge_at` from now. If the present `purge_at` is between the two, a
/// statement leaves it unchanged, so that most completions change no indexed column.
pub(crate) fn purge_window(stays: Duration) -> (i64, i64) {
    let least = interval(stays);
    (least, least + least / 32)
}
