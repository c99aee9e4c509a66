//! How long servers are waited for.

use std::time::Duration;

/// How long one attempt to connect takes at most.
pub(super) const CONNECTING: Duration = Duration::from_secs(5);

/// How long a request waits for its answer: the longest that the engine does.
pub(super) const ANSWERING: Duration = Duration::from_secs(10);
