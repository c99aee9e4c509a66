//! Sending a statement again where others got in its way.

use std::future::Future;
use std::time::{Duration, Instant};

use super::{Dialect, Failure, LONGEST_STATEMENT};
use crate::store::Owner;
use crate::task::timer;

/// How often a statement is sent that the server undid because of others.
const ATTEMPTS: u32 = 20;

/// Does it again where the server undid it because of others: nothing of it happened, so it isn't repeated.
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
                tracing::debug!(store = D::STORE, attempts, "a statement met others and is sent again");
                timer::sleep(pause(attempts)).await;
            }
            answer => return answer,
        }
    }
}

/// Longer each time, and never alike for two.
fn pause(attempt: u32) -> Duration {
    let [random, ..] = Owner::random().0;
    Duration::from_micros(u64::from(random) * 4) * attempt.min(16)
}
