//! The error of a store.

use std::error::Error as StdError;
use std::fmt;

use super::shown::{Words, shows_keys};

/// Why a store could not answer.
///
/// A store makes it from its driver's error, which is its [`source`](std::error::Error::source). A driver's error can
/// quote a key, so [`log_keys`](crate::log_keys) can hide its text.
pub struct StoreError(Box<StoreErrorParts>);

struct StoreErrorParts {
    store: &'static str,
    said: Said,
    /// Whether the source's text can quote a key.
    quotes: Quotes,
    source: Box<dyn StdError + Send + Sync>,
}

/// What is known of the request that failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    No,
    /// The server has made the write, but its replicas or its file have not confirmed it.
    #[cfg(feature = "redis")]
    Unconfirmed,
}

/// Whether the text of a source can quote a key.
enum Quotes {
    /// No: this library wrote the text, and hides keys in it where they are to be hidden.
    NoKey,
    /// Yes: a driver wrote the text. This is its error code, if there is one.
    AnyKey(Option<Box<str>>),
}

impl StoreError {
    /// Nobody knows whether the store carried out the request, as after a broken connection, a time-out or a busy
    /// database. The engine repeats the request. `store` is the store's name, with which the message begins:
    /// `PostgreSQL did not answer: …`.
    pub fn unanswered(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(store, Said::Nothing, source.into())
    }

    /// The store refused the request and would refuse it again, as with a missing table, a full disk or a wrong
    /// password. Nothing was written, so the engine doesn't undo a claim that was refused. `store` is the store's name,
    /// with which the message begins: `PostgreSQL refused the request: …`.
    pub fn refused(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(store, Said::No, source.into())
    }

    /// The server made the write, but its replicas or its file did not confirm it. The engine does the same as at
    /// [`unanswered`](Self::unanswered).
    #[cfg(feature = "redis")]
    pub(crate) fn unconfirmed(store: &'static str, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(store, Said::Unconfirmed, source.into())
    }

    fn new(store: &'static str, said: Said, source: Box<dyn StdError + Send + Sync>) -> Self {
        Self(Box::new(StoreErrorParts { store, said, quotes: Quotes::AnyKey(None), source }))
    }

    /// This error, of which this library wrote the source: that text hides keys by itself.
    pub(crate) fn in_own_words(mut self) -> Self {
        self.0.quotes = Quotes::NoKey;
        self
    }

    /// This error, with the error code of the driver's source. It is empty if the driver keeps none.
    pub(crate) fn with_code(mut self, code: &str) -> Self {
        self.0.quotes = Quotes::AnyKey((!code.is_empty()).then(|| code.into()));
        self
    }

    /// The store's name, with which the message begins.
    pub fn store(&self) -> &'static str {
        self.0.store
    }

    /// The driver's error. The same as [`source`](std::error::Error::source), but also where
    /// [`log_keys`](crate::log_keys) hides the source.
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
