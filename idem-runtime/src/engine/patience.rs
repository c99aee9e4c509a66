//! How long the engine waits for a store's answer, and when it sends a request again.

use std::time::Duration;

use crate::handler::Site;
use crate::task::sync::Instant;

/// The first pause before a request is repeated. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest pause before a request is repeated.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long one attempt at an ending waits for its answer at least, so that a slow connection is not given up.
pub(super) const SHORTEST_ATTEMPT: Duration = Duration::from_secs(2);

/// How long one attempt at an ending waits for its answer at most. A broken connection may never answer, and the next
/// attempt may use another one.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

pub(super) fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

/// How long an ending waits for its answer before it is sent again: a third of the lease, but at least
/// [`SHORTEST_ATTEMPT`] and at most [`LONGEST_ATTEMPT`]. It doesn't wait beyond the end of the lease, unless that is
/// less than a third of the lease away: the store accepts a late ending too, as long as no other call has taken the key
/// over.
pub(super) fn time_to_answer(deadline: Instant, site: &Site) -> Duration {
    let third = site.lease / 3;
    deadline.saturating_duration_since(Instant::now()).max(third).min(third.clamp(SHORTEST_ATTEMPT, LONGEST_ATTEMPT))
}
