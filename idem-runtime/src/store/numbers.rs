//! Numbers as SQL has them.

use std::time::Duration;

use crate::protocol::micros;

/// The longest scope, in bytes: with the longest key it fits into a primary key of every database.
pub(crate) const MAX_SCOPE_LEN: usize = 1024;

/// A number as SQL has it.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A duration in microseconds, as SQL has it.
pub(crate) fn interval(duration: Duration) -> i64 {
    integer(micros(duration))
}

/// How far from now a row's `purge_at` has to be, at least and at most. One that already is stays what it is, so that
/// most completions change no indexed column.
pub(crate) fn purge_window(stays: Duration) -> (i64, i64) {
    let least = interval(stays);
    (least, least + least / 32)
}
