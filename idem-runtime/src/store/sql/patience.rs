//! Sending a statement again after a conflict with other transactions.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Dialect, Failure, LONGEST_STATEMENT};
use crate::store::Owner;
use crate::task::timer;

/// How often a statement is sent that the server rolls back because of other transactions.
const ATTEMPTS: u32 = 20;

/// Sends a statement again if the server rolled it back because of other transactions. The first attempt then changed
/// nothing, so nothing happens twice.
pub(in crate::store) async fn patiently<D: Dialect, T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let started = Instant::now();
    let mut attempts = 0;
    loop {
        attempts += 1;
        match attempt().await {
            Err(failure)
                if failure.is_conflict::<D>() && attempts < ATTEMPTS && started.elapsed() < LONGEST_STATEMENT =>
            {
                tracing::debug!(
                    store = D::STORE,
                    attempts,
                    "a statement conflicted with other transactions and is sent again"
                );
                timer::sleep(pause(attempts)).await;
            }
            answer => return answer,
        }
    }
}

/// The pause before the next attempt. It grows with each attempt, and is random, so that two callers don't meet again.
fn pause(attempt: u32) -> Duration {
    let [random, ..] = Owner::random().0;
    Duration::from_micros(u64::from(random) * 4) * attempt.min(16)
}
