//! The one background thread: timers, and what has to be finished after a caller has gone.

use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Waker};

use once_cell::sync::OnceCell;
use tokio::runtime::{Builder, Handle};

/// The background runtime, started when it is first needed; `None` if the system has no thread to spare.
pub(crate) fn handle() -> Option<&'static Handle> {
    static RUNTIME: OnceCell<Option<Handle>> = OnceCell::new();
    RUNTIME
        .get_or_init(|| match start() {
            Ok(handle) => Some(handle),
            Err(error) => {
                tracing::error!(%error, "no background thread: leases are not renewed");
                None
            }
        })
        .as_ref()
}

fn start() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("idem-background".to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}

/// Finishes a future whose caller has gone: in place if it needn't wait, else on the runtime the caller was on, else on
/// the background one.
pub(crate) fn finish(in_place: bool, home: Option<&Handle>, future: impl Future<Output = ()> + Send + 'static) {
    let mut future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(future);
    if in_place && future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
        return;
    }
    let background = if home.is_some() { None } else { handle() };
    match home.or(background) {
        Some(runtime) => drop(runtime.spawn(future)),
        None => tracing::error!("no background thread: a key stays claimed until its lease ends"),
    }
}
