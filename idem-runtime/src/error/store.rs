//! What a store says where it can't answer.

use std::error::Error as StdError;
use std::fmt;

/// Why a store could not answer.
///
/// A store turns its driver's error into this; the driver's own is the [`source`](std::error::Error::source).
pub struct StoreError(Box<StoreErrorParts>);

struct StoreErrorParts {
    store: &'static str,
    said: Said,
    source: Box<dyn StdError + Send + Sync>,
}

/// How far a store has come with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    No,
    /// It has the write, and those who were to confirm it have not.
    #[cfg(feature = "redis")]
    Unconfirmed,
}

impl StoreError {
    /// Nobody knows whether the request was carried out: a connection that broke, a time-out, a busy database. The
    /// engine repeats it. `store` is its name, as messages begin with it: `PostgreSQL did not answer: …`.
    pub fn unanswered(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(store, Said::Nothing, source.into())
    }

    /// The store said no, and would again: a missing table, a full disk, a wrong password. Nothing was written, so a refused
    /// claim is not undone. `store` is its name, as messages begin with it: `PostgreSQL refused the request: …`.
    pub fn refused(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(store, Said::No, source.into())
    }

    /// The same as [`unanswered`](Self::unanswered) to the engine.
    #[cfg(feature = "redis")]
    pub(crate) fn unconfirmed(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(store, Said::Unconfirmed, source.into())
    }

    fn new(store: &'static str, said: Said, source: Box<dyn StdError + Send + Sync>) -> Self {
        Self(Box::new(StoreErrorParts { store, said, source }))
    }

    /// The name that messages begin with.
    pub fn store(&self) -> &'static str {
        self.0.store
    }

    /// Whether repeating the request can help.
    pub fn is_unanswered(&self) -> bool {
        self.0.said != Said::No
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.said {
            Said::Nothing => "did not answer",
            Said::No => "refused the request",
            #[cfg(feature = "redis")]
            Said::Unconfirmed => "lacks a confirmation",
        };
        write!(f, "{} {what}: {}", self.0.store, self.0.source)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("store", &self.0.store)
            .field("unanswered", &self.is_unanswered())
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0.source)
    }
}
