//! The one background thread: timers, and what has to be finished after a caller has gone.

use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};

use super::endings::UnderWay;

/// The background runtime, started when it is first needed; `None` while the system has no thread or descriptor to spare.
pub(crate) fn handle() -> Option<&'static Handle> {
    static RUNTIME: OnceCell<Handle> = OnceCell::new();
    let started = RUNTIME.get_or_try_init(start);
    started.inspect_err(|error| tracing::error!(%error, "no background thread: leases are not renewed")).ok()
}

fn start() -> std::io::Result<Handle> {
    let (built, building) = mpsc::channel();
    // Built there: where it can't be had, nothing of it is dropped here, which a caller's runtime wouldn't bear.
    std::thread::Builder::new().name("idem-background".to_owned()).spawn(
        move || match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let _ = built.send(Ok(runtime.handle().clone()));
                runtime.block_on(pending::<()>());
            }
            Err(error) => drop(built.send(Err(error))),
        },
    )?;
    building.recv().unwrap_or_else(|_| Err(std::io::Error::other("the thread in the background has ended")))
}

/// Finishes what a caller that has gone left: in place if it needn't wait, else on the runtime the caller was on, if that
/// [goes on by itself](by_itself), else on the background one. Where the caller's runtime ends first, `begin` begins once
/// more in the background.
///
/// What was begun says whether it is settled. Where it isn't settled in place, it is [counted](UnderWay) from here on.
///
/// # Errors
///
/// Why it can't be finished.
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
    match by_itself(home) {
        Some(home) => {
            let begin = Box::new(move || Some(count(Box::pin(begin()), Arc::clone(&counted))));
            drop(home.spawn(Relay { future: Some(future), begin }));
            Ok(())
        }
        None => in_background(future),
    }
}

/// Whether it is settled, where it need not wait.
fn poll_in_place<F: Future<Output = bool>>(future: Pin<&mut F>) -> std::thread::Result<Poll<bool>> {
    // This is called by a destructor, perhaps while the store's own panic unwinds: a second one would abort.
    catch_unwind(AssertUnwindSafe(|| future.poll(&mut Context::from_waker(Waker::noop()))))
}

fn count<F: Future<Output = bool> + Send + 'static>(ending: Pin<Box<F>>, counted: Arc<UnderWay>) -> Ending {
    Box::pin(async move {
        if ending.await {
            counted.settle();
        }
    })
}

/// Runs a future on this runtime, if there is one that [goes on by itself](by_itself), and else on the background one:
/// there too where the runtime has ended before it began.
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(crate) fn run(home: Option<&Handle>, future: impl Future<Output = ()> + Send + 'static) {
    let mut future: Option<Ending> = Some(Box::pin(future));
    match by_itself(home) {
        Some(home) => drop(home.spawn(Relay { future: None, begin: Box::new(move || future.take()) })),
        None => {
            if let Some(future) = future.take() {
                let _ = in_background(future);
            }
        }
    }
}

/// A runtime that runs its tasks whatever its callers do. One of a single thread runs them only while somebody blocks on
/// it, and its thread may have returned to where it waits for the next message.
fn by_itself(home: Option<&Handle>) -> Option<&Handle> {
    home.filter(|home| home.runtime_flavor() != RuntimeFlavor::CurrentThread)
}

type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

fn in_background(future: Ending) -> Result<(), &'static str> {
    let runtime = handle().ok_or("no background thread")?;
    drop(runtime.spawn(future));
    Ok(())
}

/// Begins again in the background where the caller's runtime ends first: a runtime that shuts down drops its tasks, and those
/// that are spawned on it from then on. What was begun on it isn't handed on, because its timers and sockets end too.
struct Relay {
    /// What was begun.
    future: Option<Ending>,
    begin: Box<dyn FnMut() -> Option<Ending> + Send>,
}

impl Future for Relay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Taken while it is polled: what panics is not begun again.
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
