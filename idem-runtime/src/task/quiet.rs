//! Calls into the code of others that have no say in what becomes of a call.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Wakes a task, or tells a recorder, a subscriber. What panics there has printed why, and nobody else suffers for it: not
/// the outcome of a body that has returned, nor a thread that all callers share.
#[inline]
pub(crate) fn quietly(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}
