//! Sleeping, under any executor and under none.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::background;

/// Sleeps on the background runtime's timer, so that it works under any executor: a third-party one, a Tokio one without
/// timers, and a parked thread. Its clock is the real one: a paused Tokio clock would end leases that the store holds.
pub(crate) async fn sleep(duration: Duration) {
    match background::handle() {
        Some(handle) => {
            let sleep = {
                let _context = handle.enter();
                // Boxed, because it is rarely needed, and would be a part of every handler's future.
                Box::pin(tokio::time::sleep(duration))
            };
            sleep.await;
        }
        // No thread could be started. Never waking up is safe: the lease ends by time.
        None => std::future::pending().await,
    }
}

/// The output of `future`, or `None` once the deadline has passed. Arms a timer only if the future has to wait.
pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep(deadline.saturating_duration_since(Instant::now()))));
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}
