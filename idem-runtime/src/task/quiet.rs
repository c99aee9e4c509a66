//! Calls into foreign code whose panics must not change what happens to a call.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a waker, a metrics recorder or a subscriber, and catches its panic. The panic hook has printed the message by
/// then. The panic would else change the outcome of a call whose body has returned, or end the background thread, which
/// all callers share.
#[inline]
pub(crate) fn quietly(call: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(call));
}
