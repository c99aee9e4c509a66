//! The clock of the store under test.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::run::Job;
use super::verdict::{Stop, Verdict};

type SetAhead = dyn Fn(Duration) -> Job<'static, ()> + Send + Sync;

/// How to move the clock, if it can be moved.
#[derive(Clone, Default)]
pub(super) struct Clock(Option<Arc<SetAhead>>);

impl Clock {
    pub(super) fn new<F: Future<Output = ()> + Send + 'static>(
        set_ahead: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Some(Arc::new(move |ahead| Box::pin(set_ahead(ahead)))))
    }

    /// Sets how far the clock is ahead of its real time. If the clock can't be moved, the case is skipped.
    pub(super) async fn set_ahead(&self, ahead: Duration) -> Verdict {
        let Some(set_ahead) = &self.0 else { return Err(Stop::Skipped) };
        set_ahead(ahead).await;
        Ok(())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "movable" } else { "as it is" })
    }
}
