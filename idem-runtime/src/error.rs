//! What can go wrong, and what to do about it.
//!
//! Of the other rooms of this crate, this one may import only `protocol` and `codec` (ARCHITECTURE.md, "Floors").

mod human;
mod message;
mod short;
pub(crate) mod shown;
mod status;
mod store;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub(crate) use self::human::NeedsAHuman;
pub(crate) use self::shown::Shown;
pub use self::shown::log_keys;
pub use self::store::StoreError;
use crate::protocol::Key;

/// The scope and the key that an error is about. Its `Display` and `Debug` show the key, unless
/// [`log_keys(false)`](crate::log_keys) was called.
#[derive(Clone, PartialEq, Eq)]
pub struct ScopedKey(Box<(String, Key)>);

impl ScopedKey {
    /// The key in its scope.
    pub fn new(scope: &str, key: &Key) -> Self {
        Self(Box::new((scope.to_owned(), key.clone())))
    }

    /// The namespace.
    pub fn scope(&self) -> &str {
        &self.0.0
    }

    /// The key in it.
    pub fn key(&self) -> &Key {
        &self.0.1
    }
}

impl fmt::Display for ScopedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}` in scope `{}`", Shown(Some(self.key())), self.scope())
    }
}

impl fmt::Debug for ScopedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope(), Shown(Some(self.key())))
    }
}

/// Why a call of an idempotent handler did not return what the handler returns.
///
/// It answers a consumer's three questions: whether the body ran ([`Error::executed`]), whether a redelivery can help
/// ([`Error::is_retryable`]), and when ([`Error::retry_after`]).
///
/// No message holds a recorded result or a fingerprinted value.
///
/// Its [`source`](StdError::source) is the store's or the decoder's error. An error that no redelivery can help, and
/// that has no such error, has a source that says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The key, or a part of it, is `None` or empty. Nothing ran. `missing_key = "run"` runs such calls unprotected.
    #[non_exhaustive]
    MissingKey {
        /// The handler's scope.
        scope: &'static str,
        /// The expression whose value is missing, as the attribute names it, such as `order.tenant`.
        expression: &'static str,
        /// If that value is a tuple, the number of the part that is missing. The first has the number 1.
        part: Option<usize>,
    },
    /// The encoded key is longer than [`Key::MAX_LEN`]. Nothing ran.
    #[non_exhaustive]
    KeyTooLong {
        /// The handler's scope.
        scope: &'static str,
        /// The key's encoded length in bytes. Of a key with parts within parts, it is at least so long.
        length: usize,
    },
    /// The value that `fingerprint` names can't be encoded, because serde refuses it. Examples are a time before 1970
    /// and a path that isn't UTF-8. Nothing ran.
    #[non_exhaustive]
    FingerprintUnavailable {
        /// The handler's scope.
        scope: &'static str,
    },
    /// Another call is running with this key. Nothing ran.
    #[non_exhaustive]
    InProgress {
        /// Which key.
        key: ScopedKey,
        /// What is left of the running call's lease. Deliver the message again after it.
        retry_after: Duration,
    },
    /// The key is taken by a call with another fingerprint. Nothing ran.
    #[non_exhaustive]
    KeyReused {
        /// Which key.
        key: ScopedKey,
    },
    /// The outcome of the last holder is unknown, because it died, panicked or was cancelled in its body. `on_crash =
    /// "park"` keeps the key until an operator resolves it. Nothing ran.
    #[non_exhaustive]
    OutcomeUnknown {
        /// Which key.
        key: ScopedKey,
    },
    /// The handler names no store, and none was installed. Nothing ran.
    #[non_exhaustive]
    NoStore {
        /// The handler's scope.
        scope: &'static str,
    },
    /// Another handler of this process uses the same scope. Each would replay the other's results. Nothing ran.
    #[non_exhaustive]
    ScopeTaken {
        /// The scope.
        scope: &'static str,
        /// `file:line` of the handler that was called first.
        first: String,
        /// `file:line` of the handler that was refused.
        second: String,
    },
    /// The store failed at the claim. Nothing ran.
    #[non_exhaustive]
    Store {
        /// Which key.
        key: ScopedKey,
        /// What the store said.
        source: StoreError,
    },
    /// This call no longer holds the key. Since it claimed the key, another call acquired it, an operator resolved or
    /// forgot it, or the store lost it.
    #[non_exhaustive]
    LeaseLost {
        /// Which key.
        key: ScopedKey,
        /// Whether the body was started.
        executed: bool,
        /// Whether the store has no row for the key any more. Either the row was evicted, flushed or lost in a
        /// failover, or the holder did not renew for longer than its lease and ttl and a sweep deleted the row. Also
        /// false where the store can't tell.
        row_gone: bool,
    },
    /// The body ran, but the store did not record its outcome while the lease held. This process keeps trying for one
    /// more lease, as long as no other call takes the key over; [`drain`](crate::drain()) waits for that. If it
    /// succeeds, a redelivery replays the outcome. If not, `on_crash` decides what a redelivery does.
    ///
    /// From a handler in tx mode, it means that the outcome could not be written in the transaction: roll the
    /// transaction back. From [`tx::commit`](crate::tx::commit()), it means that nobody knows whether the transaction
    /// was committed. A redelivery replays the result if it was, and runs if it was not.
    #[non_exhaustive]
    NotRecorded {
        /// Which key. `None` from a commit, which concerns all keys of its transaction.
        key: Option<ScopedKey>,
        /// The store's last error.
        source: StoreError,
        /// Whether the call ran in tx mode, in the caller's transaction.
        in_transaction: bool,
    },
    /// The key is completed, but its result was not recorded, because it could not be encoded or was too large. Nothing
    /// ran. The call that ran the body returned the result to its own caller.
    #[non_exhaustive]
    ResultUnavailable {
        /// Which key.
        key: ScopedKey,
    },
    /// The key is completed, but its record can't be read as the handler's type. Nothing ran. With `on_decode`, a
    /// function says what a duplicate gets instead of this error.
    #[non_exhaustive]
    Decode {
        /// Which key.
        key: ScopedKey,
        /// What was wrong, and at which position. It never holds the recorded value.
        source: DecodeError,
    },
    /// A sync handler was called on the thread of a current-thread runtime or in a `LocalSet`, and would block the
    /// other tasks there. Nothing ran.
    ///
    /// A handler is not refused there if its store [needs no runtime](crate::IdempotencyStore::needs_runtime), as
    /// `MemoryStore` and `SqliteStore` don't, and its `wait` is zero. In a `LocalSet` of a multi-thread runtime, the
    /// library learns that it may not block from a panic of Tokio's, which it catches. It can't do so with `panic =
    /// "abort"`.
    #[non_exhaustive]
    WouldBlock {
        /// The handler's scope.
        scope: &'static str,
    },
    /// A handler in tx mode was given a connection that is not in a transaction. Or its transaction has ended and the
    /// caller doesn't know, as after a deadlock on MySQL and MariaDB. Nothing ran.
    #[non_exhaustive]
    NotInTransaction {
        /// The handler's scope.
        scope: &'static str,
    },
    /// The transaction conflicts with a concurrent one: a serialization failure, a deadlock, or a time-out while it
    /// waited for a lock. Roll the whole transaction back, not only a savepoint, and run it again. On MySQL and
    /// MariaDB, a deadlock has undone everything since the transaction began, savepoints included.
    ///
    /// From [`tx::commit`](crate::tx::commit()), it means that the server rolled the transaction back.
    #[non_exhaustive]
    Conflict {
        /// Which key. `None` from a commit, which concerns all keys of its transaction.
        key: Option<ScopedKey>,
        /// Whether the body ran. What it wrote is undone with the rest of the transaction.
        executed: bool,
        /// The database's error.
        source: StoreError,
    },
    /// The transaction ended while the body ran, and the body did not notice and went on. MySQL and MariaDB end a
    /// transaction so after a deadlock. What the body wrote before that is undone. What it wrote after that may be
    /// committed, statement by statement.
    ///
    /// Nothing is recorded, so a redelivery would write again what was committed. Compare the business rows with the
    /// message, and correct them, before the message is delivered again.
    #[non_exhaustive]
    TransactionLost {
        /// Which key. `None` from a commit, which concerns all keys of its transaction.
        key: Option<ScopedKey>,
        /// How the library found out.
        source: StoreError,
    },
    /// A setting is wrong, such as a bad URL, a URL whose feature is off, or a second `install`. Nothing ran.
    #[non_exhaustive]
    Config {
        /// What is wrong, and what to write instead.
        message: String,
        /// The driver's error, if there is one.
        source: Option<StoreError>,
    },
}

impl Error {
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into(), source: None }
    }

    /// The error for a URL whose store is not compiled in.
    pub(crate) fn feature_off(scheme: &str, feature: &str) -> Self {
        Self::config(format!("`{scheme}:` URLs need idem-runtime's feature `{feature}`: turn it on in Cargo.toml"))
    }

    /// This error, for a call that did not run its body: it tried to record what `on_crash`'s function found out about
    /// an earlier call.
    pub(crate) fn without_execution(self) -> Self {
        match self {
            Self::LeaseLost { key, row_gone, .. } => Self::LeaseLost { key, executed: false, row_gone },
            Self::NotRecorded { key: Some(key), source, .. } => Self::Store { key, source },
            other => other,
        }
    }

    /// Whether the handler's body ran in this call, in whole or in part. If a body passes on an error that it got from
    /// another handler, the answer is about that other handler.
    pub fn executed(&self) -> bool {
        match self {
            Self::LeaseLost { executed, .. } | Self::Conflict { executed, .. } => *executed,
            Self::NotRecorded { .. } | Self::TransactionLost { .. } => true,
            _ => false,
        }
    }

    /// Whether delivering the message again can help.
    ///
    /// It is false where a person has to act first: a key is missing, reused or parked, a fingerprint can't be encoded,
    /// a record can't be read, a setting is wrong, or a transaction was lost. Put such a message aside and don't
    /// acknowledge it: it was not handled, unless its key is completed ([`Error::ResultUnavailable`],
    /// [`Error::Decode`]).
    ///
    /// [`consumer::disposition`](crate::consumer::disposition) says what a consumer does with the message. It has the
    /// message delivered again where a setting is wrong, until someone corrects the setting.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::InProgress { .. }
                | Self::Store { .. }
                | Self::LeaseLost { .. }
                | Self::NotRecorded { .. }
                | Self::Conflict { .. }
        )
    }

    /// Whether a redelivery can only be refused again, or do harm, until a person has acted.
    pub(crate) fn needs_a_human(&self) -> bool {
        matches!(
            self,
            Self::MissingKey { .. }
                | Self::KeyTooLong { .. }
                | Self::FingerprintUnavailable { .. }
                | Self::KeyReused { .. }
                | Self::OutcomeUnknown { .. }
                | Self::ResultUnavailable { .. }
                | Self::Decode { .. }
                | Self::TransactionLost { .. }
        )
    }

    /// When to deliver again, where that is known: after what is left of the running call's lease.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Store { source, .. }
            | Self::NotRecorded { source, .. }
            | Self::Conflict { source, .. }
            | Self::TransactionLost { source, .. } => Some(source),
            Self::Config { source, .. } => source.as_ref().map(|source| source as _),
            Self::Decode { source, .. } => Some(source),
            error if error.needs_a_human() => Some(NeedsAHuman::FIRST),
            _ => None,
        }
    }
}

pub use crate::codec::DecodeError;
