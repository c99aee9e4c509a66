//! The store's clock: the machine's, which every process that opens the file shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::protocol::Micros;

static LATEST: AtomicU64 = AtomicU64::new(0);

/// Microseconds since the Unix epoch. Never runs backwards within a process, whatever is done to the machine's clock.
pub(super) fn now() -> Micros {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    LATEST.fetch_max(now, Ordering::Relaxed).max(now)
}
