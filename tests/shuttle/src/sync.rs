//! What stands in the place of std's and Tokio's pieces: shuttle's, and where it has none, Tokio's own behind a step at
//! which another thread may go on.

mod clock;
mod once;
mod runtimes;

pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic, mpsc};
pub(crate) use shuttle::{thread, thread_local};
pub(crate) use tokio::sync::futures::Notified;
pub(crate) use tokio::sync::oneshot;

pub(crate) use self::clock::Instant;
pub(crate) use self::once::{Lazy, OnceCell, begin};

pub(crate) mod runtime {
    pub(crate) use tokio::runtime::RuntimeFlavor;

    pub(crate) use super::runtimes::{Builder, Handle};
}

pub(crate) mod task {
    pub(crate) use shuttle::future::AbortHandle;
    pub(crate) use tokio::task::coop;

    pub(crate) use super::runtimes::{JoinError, JoinHandle, block_in_place, spawn};
}

pub(crate) mod time {
    pub(crate) use super::clock::{Sleep, sleep};
}

/// Another thread may go on here.
fn step() {
    atomic::AtomicBool::new(false).load(atomic::Ordering::SeqCst);
}

/// Tokio's. It wakes, and is waited for, in one step.
#[derive(Debug, Default)]
pub(crate) struct Notify(tokio::sync::Notify);

impl Notify {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) const fn const_new() -> Self {
        Self(tokio::sync::Notify::const_new())
    }

    pub(crate) fn notify_one(&self) {
        step();
        self.0.notify_one();
    }

    pub(crate) fn notify_waiters(&self) {
        step();
        self.0.notify_waiters();
    }

    pub(crate) fn notified(&self) -> Notified<'_> {
        step();
        self.0.notified()
    }
}
