//! The clock of a store in a file: the machine's clock, which all processes that open the file share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::protocol::Micros;

static LATEST: AtomicU64 = AtomicU64::new(0);

/// If the machine's clock is set back by at most this much, [`now`] stands still until the clock has caught up. A lease
/// can end later by as much.
const LONGEST_STILL: Micros = 10_000_000;

/// Microseconds since the Unix epoch. If the machine's clock is set back by a little, this time stands still within the
/// process and does not run backwards. If the clock is set back by more, the earlier time was wrong, and this time
/// follows the clock back: otherwise no lease would end for as long as the clock had been ahead.
pub(crate) fn now() -> Micros {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    after(&LATEST, u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

fn after(latest: &AtomicU64, now: Micros) -> Micros {
    let previous = latest.fetch_max(now, Ordering::Relaxed);
    if previous <= now.saturating_add(LONGEST_STILL) {
        return previous.max(now);
    }
    latest.store(now, Ordering::Relaxed);
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still_for_a_little_and_not_for_a_day() {
        const DAY: Micros = 24 * 60 * 60 * 1_000_000;
        let latest = AtomicU64::new(0);
        assert_eq!(after(&latest, 10 * DAY), 10 * DAY);
        assert_eq!(after(&latest, 10 * DAY - 1), 10 * DAY, "a little");
        assert_eq!(after(&latest, 11 * DAY), 11 * DAY, "a mistake");
        assert_eq!(after(&latest, 10 * DAY + 2), 10 * DAY + 2, "mended");
        assert_eq!(after(&latest, 10 * DAY + 3), 10 * DAY + 3);
    }
}
