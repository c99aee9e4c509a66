//! What a store says where it can't answer.

use std::error::Error as StdError;
use std::fmt;

use super::shown::{Words, shows_keys};

/// Why a store could not answer.
///
/// A store turns its driver's error into this; the driver's own is the [`source`](std::error::Error::source). As that can
/// quote a key, [`log_keys`](crate::log_keys) can hide what it says.
pub struct StoreError(Box<StoreErrorParts>);

struct StoreErrorParts {
    store: &'static str,
    said: Said,
    /// What the source can quote.
    quotes: Quotes,
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

/// Which keys the text of a source can quote.
enum Quotes {
    /// None that isn't shown: it is in this library's words.
    NoKey,
    /// Any: it is in a driver's words. Its code, where it is known.
    AnyKey(Option<Box<str>>),
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
        Self(Box::new(StoreErrorParts { store, said, quotes: Quotes::AnyKey(None), source }))
    }

    /// The same, whose source hides keys by itself where they aren't shown.
    pub(crate) fn in_own_words(mut self) -> Self {
        self.0.quotes = Quotes::NoKey;
        self
    }

    /// The same, of a driver's error with this code.
    pub(crate) fn with_code(mut self, code: &str) -> Self {
        self.0.quotes = Quotes::AnyKey(Some(code.into()));
        self
    }

    /// The name that messages begin with.
    pub fn store(&self) -> &'static str {
        self.0.store
    }

    /// What the store said, with the driver's error behind it. As [`source`](std::error::Error::source), also where [`log_keys`](crate::log_keys) hides that.
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0.source
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
        write!(f, "{} {what}: ", self.0.store)?;
        match &self.0.quotes {
            Quotes::NoKey => self.0.source.fmt(f),
            Quotes::AnyKey(code) => Words { text: &self.0.source, code: code.as_deref() }.fmt(f),
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("StoreError");
        parts.field("store", &self.0.store).field("unanswered", &self.is_unanswered());
        if shows_keys() {
            parts.field("source", &self.0.source).finish()
        } else {
            parts.field("source", &format_args!("{self}")).finish()
        }
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        shows_keys().then_some(&*self.0.source)
    }
}
