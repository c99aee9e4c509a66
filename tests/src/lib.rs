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
pub mod steps;
pub mod stuck;
pub mod vfs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use idem_runtime::Error;
use tokio::sync::Notify;

/// How often something ran.
#[derive(Clone, Debug, Default)]
pub struct Count(Arc<AtomicU32>);

impl Count {
    /// Once more; says how often by now.
    pub fn up(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A body that says when it has started, and waits to be let go.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    started: Arc<Notify>,
    go: Arc<Notify>,
}

impl Gate {
    /// In the body.
    pub async fn pass(&self) {
        self.started.notify_one();
        self.go.notified().await;
    }

    /// Waits for the body to start.
    pub async fn started(&self) {
        self.started.notified().await;
    }

    /// Lets the body go.
    pub fn open(&self) {
        self.go.notify_one();
    }

    /// One that stands open.
    pub fn opened() -> Self {
        let gate = Self::default();
        gate.open();
        gate
    }
}

/// A handler's error.
#[derive(Debug)]
pub enum Failure {
    /// Its own.
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
