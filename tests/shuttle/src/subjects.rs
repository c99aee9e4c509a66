//! What the interleavings are tried on. Each function is one execution's main thread.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod calls;
mod endings;
mod memory;

use std::time::Duration;

pub use self::calls::{a_dropped_call_leaves_its_key, each_sync_body_has_its_heartbeat};
pub use self::endings::{what_a_runtime_dropped_begins_again, what_had_ended_is_settled};
pub use self::memory::who_waits_for_a_key_is_woken;
pub use crate::store::sql::{a_caller_that_goes_hands_its_lane_on, each_request_is_answered_once};

/// Longer than any sleep that ends: who waits for it waits for something else.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);

/// An execution begins.
pub fn begin() {
    crate::task::sync::begin();
}
