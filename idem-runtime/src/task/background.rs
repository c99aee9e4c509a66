//! The background thread. It runs the timers, and the endings of calls that were dropped.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::endings::UnderWay;
use super::sync::runtime::{Builder, Handle, RuntimeFlavor};
use super::sync::{Instant, OnceCell, mpsc, thread};

/// The background runtime. It is started when it is first needed. `None` if the system has no thread or file descriptor
/// left; the next call tries again.
pub(crate) fn handle() -> Option<&'static Handle> {
    static RUNTIME: OnceCell<Handle> = OnceCell::new();
    let started = RUNTIME.get_or_try_init(start);
    started.inspect_err(|error| tracing::error!(%error, "no background thread: leases are not renewed")).ok()
}

fn start() -> std::io::Result<Handle> {
    let (built, building) = mpsc::channel();
    // The runtime is built on its own thread. If that fails, its parts are dropped there too: Tokio panics if a runtime
    // is dropped within another one.
    thread::Builder::new().name("idem-background".to_owned()).spawn(move || {
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = built.send(Ok(runtime.handle().clone()));
                runtime.block_on(pending::<()>());
            }
            Err(error) => drop(built.send(Err(error))),
        }
    })?;
    building.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread in the background has ended")))
}

/// Runs the ending of a call that was dropped. It runs in place if it needn't wait. Else it runs on the caller's
/// runtime, if that [runs by itself](running_by_itself), and if not, on the background runtime. If the caller's runtime ends
/// before the ending does, `begin` is called once more, and the new ending runs on the background runtime.
///
/// An ending returns whether it is settled in the store. Unless it is settled in place, it is [counted](UnderWay) from
/// here on.
///
/// # Errors
///
/// Why the ending can't run.
pub(crate) fn finish<F: Future<Output = bool> + Send + 'static>(
    in_place: bool,
    home: Option<&Handle>,
    lease_over: Instant,
    begin: impl Fn() -> F + Send + 'static,
) -> Result<(), &'static str> {
    let mut future = Box::pin(begin());
    match in_place.then(|| poll_in_place(future.as_mut())) {
        Some(Ok(Poll::Ready(true))) => return Ok(()),
        Some(Ok(Poll::Ready(false))) => {
            drop(UnderWay::new(lease_over));
            return Ok(());
        }
        Some(Err(_)) => {
            drop(UnderWay::new(lease_over));
            return Err("the store panicked");
        }
        Some(Ok(Poll::Pending)) | None => {}
    }
    let counted = Arc::new(UnderWay::new(lease_over));
    let future = count(future, Arc::clone(&counted));
    match running_by_itself(home) {
        Some(home) => {
            let begin = Box::new(move || Some(count(Box::pin(begin()), Arc::clone(&counted))));
            drop(home.spawn(Relay { future: Some(future), begin }));
            Ok(())
        }
        None => in_background(future),
    }
}

/// Polls an ending once. `Ready` says whether it is settled. `Pending` says that it has to wait.
fn poll_in_place<F: Future<Output = bool>>(future: Pin<&mut F>) -> std::thread::Result<Poll<bool>> {
    // A destructor calls this, perhaps while a panic of the store unwinds. A second panic would abort the process, so
    // it is caught.
    catch_unwind(AssertUnwindSafe(|| future.poll(&mut Context::from_waker(Waker::noop()))))
}

fn count<F: Future<Output = bool> + Send + 'static>(ending: Pin<Box<F>>, counted: Arc<UnderWay>) -> Ending {
    Box::pin(async move {
        if ending.await {
            counted.settle();
        }
    })
}

/// Runs a future on this runtime, if it [runs by itself](running_by_itself), and if not, on the background runtime. If this
/// runtime ends before the future is polled, the future runs on the background runtime too.
#[cfg(any(feature = "postgres", feature = "mysql", idem_shuttle))]
pub(crate) fn run(home: Option<&Handle>, future: impl Future<Output = ()> + Send + 'static) {
    let mut future: Option<Ending> = Some(Box::pin(future));
    match running_by_itself(home) {
        Some(home) => drop(home.spawn(Relay { future: None, begin: Box::new(move || future.take()) })),
        None => {
            if let Some(future) = future.take() {
                let _ = in_background(future);
            }
        }
    }
}

/// The runtime, if it has worker threads that run its tasks. A current-thread runtime runs its tasks only while its
/// thread is in `block_on`, and that thread may be waiting for the next message elsewhere.
fn running_by_itself(home: Option<&Handle>) -> Option<&Handle> {
    home.filter(|home| home.runtime_flavor() != RuntimeFlavor::CurrentThread)
}

type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

fn in_background(future: Ending) -> Result<(), &'static str> {
    let runtime = handle().ok_or("no background thread")?;
    drop(runtime.spawn(future));
    Ok(())
}

/// A task on the caller's runtime that moves to the background runtime if the caller's runtime ends first. A runtime
/// that shuts down drops its tasks, and each task that is spawned on it later. The future that was polled there is not
/// moved, because its timers and sockets end with that runtime: `begin` makes a new one.
struct Relay {
    /// The future that was begun on the caller's runtime.
    future: Option<Ending>,
    begin: Box<dyn FnMut() -> Option<Ending> + Send>,
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Both are taken out while the future is polled. So a future that panics is not begun again.
        let mut begin = std::mem::replace(&mut self.begin, Box::new(|| None));
        let Some(mut future) = self.future.take().or_else(&mut begin) else { return Poll::Ready(()) };
        let poll = future.as_mut().poll(cx);
        if poll.is_pending() {
            (self.future, self.begin) = (Some(future), begin);
        }
        poll
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.future = None;
        if let Some(future) = (self.begin)() {
            let _ = in_background(future);
        }
    }
}
