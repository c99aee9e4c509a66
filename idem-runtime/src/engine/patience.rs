//! How long a store is waited for, and when it is asked again.

use std::time::{Duration, Instant};

use crate::handler::Site;

/// The first pause before a request is repeated; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause before a request is repeated.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long one attempt at an ending takes at least, while the lease holds: a connection that only takes its time shouldn't be
/// given up.
pub(super) const SHORTEST_ATTEMPT: Duration = Duration::from_secs(2);

/// How long one attempt at an ending takes at most: a connection that went silent says nothing, and another one may get through.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

pub(super) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

/// How long an ending waits for its answer before it is sent again: a third of the lease, but no less and no more. A late one counts as long as nobody took over, so each
/// is sent at least once.
pub(super) fn time_to_answer(deadline: Instant, site: &Site) -> Duration {
    let third = site.lease / 3;
    deadline.saturating_duration_since(Instant::now()).max(third).min(third.clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT))
}
