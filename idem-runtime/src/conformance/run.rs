//! Runs futures concurrently in one task, or in parallel on threads.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::verdict::{Plain, Verdict, failed};
use crate::task::background;

/// A future that can be sent to a thread.
pub(super) type Job<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The outputs of all futures, in order. Each wake-up polls all of them, because they are few.
pub(super) async fn all<T: Send>(jobs: Vec<Job<'_, T>>) -> Vec<T> {
    let mut outputs: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let mut jobs: Vec<_> = jobs.into_iter().enumerate().collect();
    std::future::poll_fn(|cx| {
        jobs.retain_mut(|(index, job)| match job.as_mut().poll(cx) {
            Poll::Ready(output) => {
                outputs[*index] = Some(output);
                false
            }
            Poll::Pending => true,
        });
        if jobs.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// The output of a future, or the message of its panic.
pub(super) async fn caught<T>(mut job: Job<'_, T>) -> Result<T, String> {
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(message(&*payload))),
    })
    .await
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str).or_else(|| payload.downcast_ref().copied());
    format!("a panic: {}", text.unwrap_or("without a message"))
}

/// The outputs of all futures, in order. Each runs on a thread of its own, and the threads start at the same time.
///
/// In one task, callers would not race on a store that never waits: they would run one after the other.
pub(super) async fn race<T: Send + 'static>(jobs: Vec<Job<'static, T>>) -> Verdict<Vec<T>> {
    let gate = Arc::new(RwLock::new(()));
    let mut answers = Vec::new();
    {
        // Each thread waits at this gate until all threads have been started.
        let _closed = gate.write().unwrap_or_else(PoisonError::into_inner);
        for job in jobs {
            let gate = Arc::clone(&gate);
            answers.push(on_thread(move |runtime| {
                drop(gate.read().unwrap_or_else(PoisonError::into_inner));
                runtime.block_on(job)
            })?);
        }
    }
    let mut outputs = Vec::new();
    for answer in answers {
        outputs.push(answer.await.map_err(|_| failed("a race", "an answer", Plain("a panic")))?);
    }
    Ok(outputs)
}

/// Runs `work` on a thread of its own, with the caller's runtime, which a store's driver may need.
pub(super) fn on_thread<T: Send + 'static>(
    work: impl FnOnce(&Handle) -> T + Send + 'static,
) -> Verdict<oneshot::Receiver<T>> {
    let runtime = Handle::try_current().ok().or_else(|| background::handle().cloned());
    let runtime = runtime.ok_or_else(|| failed("a race", "a thread to run on", Plain("none to spare")))?;
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .spawn(move || {
            // Fails if the case was given up, and is ignored then.
            let _ = sender.send(work(&runtime));
        })
        .map_err(|error| failed("a race", "a thread to run on", Plain(error)))?;
    Ok(receiver)
}
