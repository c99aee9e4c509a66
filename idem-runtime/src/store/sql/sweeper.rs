//! Sweeping: deleting the rows that are no longer needed, in bounded batches.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{Dialect, Failure, LONGEST_STATEMENT};
use crate::store::{Owner, StoreError};
use crate::task::{background, timer};

/// After a batch, the sweep pauses for this many times as long as the batch took, so that the server has time for other
/// work.
const SHARE: u32 = 4;

/// A pass takes at least this many times as long as its first batch, because the first batch of a pass reads past the
/// rows that were deleted before.
const OVER_AGAIN: u32 = 100;

/// A store that can be swept.
pub(in crate::store) trait Sweep: Send + Sync + 'static {
    /// The database's errors.
    type Dialect: Dialect;

    fn sweeping(&self) -> &Sweeping;

    /// Deletes at most this many rows in one batch: rows whose `purge_at` has passed, the oldest first, and none whose
    /// `purge_at` is before `from`.
    fn sweep(&self, at_most: usize, from: i64) -> impl Future<Output = Result<Swept, Failure>> + Send;
}

/// How a store is swept.
pub(in crate::store) struct Sweeping {
    /// How many rows one batch deletes at most.
    batch: usize,
    /// Where an operator's next sweep begins. Several sweeps of a few rows each make up one pass.
    begins_at: AtomicI64,
}

impl Sweeping {
    pub(in crate::store) fn new(batch: usize) -> Self {
        Self { batch, begins_at: AtomicI64::new(0) }
    }
}

/// What a batch deleted.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Swept {
    pub(in crate::store) rows: usize,
    /// The latest `purge_at` among them.
    pub(in crate::store) reached: Option<i64>,
}

/// How far a sweep has come. While another transaction may still read deleted rows, the server keeps them, and a batch
/// from the first row on would read past all of them. So each batch begins where the last one ended.
///
/// A batch also skips rows that others have locked. The next pass, which begins at the first row, finds them.
struct Pass {
    from: i64,
    /// The furthest point of any pass.
    furthest: i64,
    begun: Instant,
    /// How long its first batch took.
    first: Option<Duration>,
}

impl Pass {
    fn new(from: i64) -> Self {
        Self { from, furthest: from, begun: Instant::now(), first: None }
    }

    /// Deletes a batch.
    async fn sweep<S: Sweep>(&mut self, store: &S, at_most: usize) -> Result<usize, Failure> {
        let begun = Instant::now();
        let Swept { rows, reached } = store.sweep(at_most, self.from).await?;
        self.first.get_or_insert_with(|| begun.elapsed());
        self.from = reached.unwrap_or(self.from);
        self.furthest = self.furthest.max(self.from);
        Ok(rows)
    }

    /// Called when a batch took too long or failed. The cause may be that it read past too many deleted rows, so the
    /// next one begins at the furthest point.
    fn failed(&mut self) {
        self.first.get_or_insert(LONGEST_STATEMENT);
        self.from = self.furthest;
    }

    /// Called when a batch found no more rows. Begins a new pass at the first row, unless that would spend too large a
    /// share of the time on first batches.
    fn again(&mut self) {
        if self.first.is_none_or(|first| self.begun.elapsed() >= first * OVER_AGAIN) {
            *self = Self { furthest: self.furthest, ..Self::new(0) };
        }
    }
}

/// An operator's sweep: deletes at most `at_most` rows in batches, with pauses for other work. It begins where the
/// operator's last sweep ended, and after the last row it begins again at the first one.
pub(in crate::store) async fn sweep_all<S: Sweep>(store: &S, at_most: usize) -> Result<usize, StoreError> {
    let Sweeping { batch, begins_at } = store.sweeping();
    let (mut pass, mut all) = (Pass::new(begins_at.load(Ordering::Relaxed)), 0);
    let mut is_whole = pass.from == 0;
    while all < at_most {
        let batch = (*batch).min(at_most - all);
        let begun = Instant::now();
        let swept = pass.sweep(store, batch).await.map_err(Failure::into_error::<S::Dialect>)?;
        all += swept;
        if swept == batch {
            begins_at.store(pass.from, Ordering::Relaxed);
        } else if is_whole {
            begins_at.store(0, Ordering::Relaxed);
            break;
        } else {
            (pass, is_whole) = (Pass::new(0), true);
        }
        if all < at_most {
            timer::sleep(begun.elapsed() * SHARE).await;
        }
    }
    Ok(all)
}

/// Sweeps in the background for as long as the store is open.
pub(in crate::store) fn keep_swept<S: Sweep>(store: &Arc<S>, interval: Duration) {
    if let Some(runtime) = background::handle() {
        drop(runtime.spawn(sweep_on(Arc::downgrade(store), interval)));
    }
}

async fn sweep_on<S: Sweep>(store: Weak<S>, interval: Duration) {
    let (mut pass, mut pause) = (Pass::new(0), interval);
    loop {
        // A random pause, so that processes don't sweep in step.
        let [random, ..] = Owner::random().0;
        timer::sleep(pause.mul_f64(0.75 + f64::from(random) / 512.0)).await;
        let Some(store) = store.upgrade() else { return };
        let (batch, begun) = (store.sweeping().batch, Instant::now());
        let swept = timer::within(|| LONGEST_STATEMENT, pin!(pass.sweep(&*store, batch))).await;
        pause = match swept.unwrap_or(Err(Failure::TimedOut(LONGEST_STATEMENT))) {
            Ok(swept) if swept == batch => interval.min(begun.elapsed() * SHARE),
            Ok(_) => {
                pass.again();
                interval
            }
            Err(failure) => {
                pass.failed();
                let error = failure.into_error::<S::Dialect>();
                tracing::warn!(%error, "a sweep failed");
                interval
            }
        };
    }
}
