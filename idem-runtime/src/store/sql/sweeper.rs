//! Deleting the rows that nobody needs any more, a bounded number at a time.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{Dialect, Failure, LONGEST_STATEMENT};
use crate::store::{Owner, StoreError};
use crate::{background, timer};

/// A store that can be swept.
pub(in crate::store) trait Sweep: Send + Sync + 'static {
    /// Whose errors they are.
    type Dialect: Dialect;

    /// How many rows are deleted at once.
    fn batch(&self) -> usize;

    /// Deletes at most so many rows at once, and says how many.
    fn sweep(&self, at_most: usize) -> impl Future<Output = Result<usize, Failure>> + Send;
}

/// Deletes at most so many rows, batch by batch.
pub(in crate::store) async fn sweep_all<S: Sweep>(store: &S, at_most: usize) -> Result<usize, StoreError> {
    let mut swept = 0;
    while swept < at_most {
        let batch = store.batch().min(at_most - swept);
        let deleted = store.sweep(batch).await.map_err(Failure::into_error::<S::Dialect>)?;
        swept += deleted;
        if deleted < batch {
            break;
        }
    }
    Ok(swept)
}

/// Sweeps in the background for as long as the store is open.
pub(in crate::store) fn keep_swept<S: Sweep>(store: &Arc<S>, interval: Duration) {
    if let Some(runtime) = background::handle() {
        drop(runtime.spawn(sweep_on(Arc::downgrade(store), interval)));
    }
}

async fn sweep_on<S: Sweep>(store: Weak<S>, interval: Duration) {
    const SOON: Duration = Duration::from_millis(10);
    let mut pause = interval;
    loop {
        // Not in step with other processes.
        let [random, ..] = Owner::random().0;
        timer::sleep(pause.mul_f64(0.75 + f64::from(random) / 512.0)).await;
        let Some(store) = store.upgrade() else { return };
        let swept = timer::within(|| LONGEST_STATEMENT, pin!(store.sweep(store.batch()))).await;
        pause = match swept.unwrap_or(Err(Failure::TimedOut(LONGEST_STATEMENT))) {
            Ok(swept) if swept == store.batch() => interval.min(SOON),
            Ok(_) => interval,
            Err(failure) => {
                let error = failure.into_error::<S::Dialect>();
                tracing::warn!(%error, "a sweep failed");
                interval
            }
        };
    }
}
