//! The locks, atomics, threads, tasks and the clock of what runs beside the caller: std's and Tokio's.
//!
//! The package `tests/shuttle` builds this crate with `--cfg idem_shuttle`. Then others stand in their place, with which
//! it tries many orders of the steps of threads. Nothing else sets that cfg.

#[cfg(not(idem_shuttle))]
mod real {
    pub(crate) use std::sync::{Mutex, MutexGuard, atomic, mpsc};
    pub(crate) use std::time::Instant;
    pub(crate) use std::{thread, thread_local};

    pub(crate) use once_cell::sync::{Lazy, OnceCell};
    pub(crate) use tokio::sync::futures::Notified;
    pub(crate) use tokio::sync::{Notify, oneshot};
    pub(crate) use tokio::{runtime, task, time};
}

#[cfg(idem_shuttle)]
#[path = "../../../tests/shuttle/src/sync.rs"]
mod shuttled;

#[cfg(not(idem_shuttle))]
pub(crate) use self::real::*;
#[cfg(idem_shuttle)]
pub(crate) use self::shuttled::*;
