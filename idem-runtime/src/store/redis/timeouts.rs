//! Time-outs.

use std::time::Duration;

/// How long one attempt to connect takes at most.
pub(super) const CONNECTING: Duration = Duration::from_secs(5);

/// How long a request waits for its answer. It is also the engine's longest wait.
pub(super) const ANSWERING: Duration = Duration::from_secs(10);
