//! Shared helpers of the tests.

pub mod examples;
pub mod journal;
pub mod log;
pub mod operations;
pub mod probe;
pub mod proxy;
pub mod reference;
pub mod rng;
pub mod server;
pub mod standing;
pub mod statements;
pub mod steps;
pub mod stuck;
pub mod vfs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use idem_runtime::Error;
use tokio::sync::Notify;

/// Counts how often something ran.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU32>);

impl Count {
    /// Adds one, and returns the new count.
    pub fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The count.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Stops a handler's body: the test learns when the body has started, and lets it go on.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    started: Arc<Notify>,
    go: Arc<Notify>,
}

impl Gate {
    /// Called by the body: reports the start, and waits until the gate is opened.
    pub async fn pass(&self) {
        self.started.notify_one();
        self.go.notified().await;
    }

    /// Waits for the body to start.
    pub async fn started(&self) {
        self.started.notified().await;
    }

    /// Lets the body go on.
    pub fn open(&self) {
        self.go.notify_one();
    }

    /// A gate that is open from the beginning.
    pub fn opened() -> Self {
        let gate = Self::default();
        gate.open();
        gate
    }
}

/// A handler's error.
#[derive(Debug)]
pub enum Failure {
    /// The handler's own error.
    Declined,
    /// The library's.
    Refused(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// The library's error.
    pub fn refusal(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Declined => panic!("the handler's own error"),
        }
    }
}

/// The README's examples compile. Here, and not in `idem-runtime`: its package has no files from outside of its folder.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The book's first page, which compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/start.md")]
struct Start;

/// The book's page on choosing a mode, a key, a ttl and a lease: its program compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/choosing.md")]
struct Choosing;

/// The book's page on tests, which compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/testing.md")]
struct Testing;

/// The book's page on tx mode, which compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../docs/src/tx.md")]
struct Tx;
