//! What can go wrong, and what to do about it.

mod human;
mod short;
pub(crate) mod shown;
mod store;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

pub(crate) use self::human::NeedsAHuman;
pub(crate) use self::shown::Shown;
pub use self::shown::log_keys;
pub use self::store::StoreError;
use crate::protocol::Key;

/// A scope and a key: which business fact an error is about. Printed, it shows the key unless [`log_keys`](crate::log_keys)
/// says not to.
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

/// The handler of a key, where the key is known.
struct Handler<'a>(&'a Option<ScopedKey>);

impl fmt::Display for Handler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "the handler of {key}"),
            None => f.write_str("a handler"),
        }
    }
}

/// Why a call of an idempotent handler did not return what the handler returns.
///
/// Three questions matter to a consumer: did the body run ([`Error::executed`]), can a redelivery help
/// ([`Error::is_retryable`]), and when ([`Error::retry_after`]).
///
/// No message holds a recorded result or a fingerprinted value.
///
/// The [`source`](StdError::source) is what the store or the decoder said. An error that no redelivery can help has one too,
/// which says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The key, or a part of it, is `None` or empty. Nothing ran. `missing_key = "run"` runs such calls unprotected.
    #[non_exhaustive]
    MissingKey {
        /// The handler's scope.
        scope: &'static str,
    },
    /// The encoded key is longer than [`Key::MAX_LEN`]. Nothing ran.
    #[non_exhaustive]
    KeyTooLong {
        /// The handler's scope.
        scope: &'static str,
        /// The key's encoded length in bytes.
        length: usize,
    },
    /// The value that `fingerprint` names can't be encoded: serde refuses it, such as a time before 1970 or a path that
    /// isn't UTF-8. Nothing ran.
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
        /// What is left of the other's lease: when to deliver again.
        retry_after: Duration,
    },
    /// The key is taken by a call with another fingerprint. Nothing ran.
    #[non_exhaustive]
    KeyReused {
        /// Which key.
        key: ScopedKey,
    },
    /// The last holder died in its body, and `on_crash = "park"` keeps the key until someone resolves it. Nothing ran.
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
    /// Another handler of this process uses the same scope, so each would replay the other's results. Nothing ran.
    #[non_exhaustive]
    ScopeTaken {
        /// The scope.
        scope: &'static str,
        /// `file:line` of the handler that had it first.
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
    /// Another call has acquired the key, or someone resolved or forgot it, since this one claimed it, or the store has lost
    /// the key.
    #[non_exhaustive]
    LeaseLost {
        /// Which key.
        key: ScopedKey,
        /// Whether the body had been started.
        executed: bool,
        /// Whether the store knows nothing of the key: it was evicted, flushed or lost in a failover, or its holder was
        /// silent for longer than its lease and ttl, and a sweep deleted it. False also where the store can't tell.
        row_gone: bool,
    },
    /// The body ran, and the store could not record its outcome while the lease held. This process goes on trying for one
    /// lease more, while nobody takes the key over ([`drain`](crate::drain()) waits for that): a redelivery replays the
    /// outcome if it got there, and else meets the key as after a crash.
    ///
    /// In tx mode, the transaction could not record it: roll back. From [`tx::commit`](crate::tx::commit()), nobody knows
    /// whether the transaction was committed: a redelivery replays its result, or runs.
    #[non_exhaustive]
    NotRecorded {
        /// Which key. `None` where a commit was not answered: it is about all keys of its transaction.
        key: Option<ScopedKey>,
        /// What the store said last.
        source: StoreError,
        /// Whether it was to be recorded in the caller's transaction.
        in_transaction: bool,
    },
    /// The key is completed, but its result could not be kept: it could not be encoded, or was too large. Nothing ran. The
    /// call that ran has returned the result to its own caller.
    #[non_exhaustive]
    ResultUnavailable {
        /// Which key.
        key: ScopedKey,
    },
    /// The key is completed, but its record can't be read as the handler's type. Nothing ran. What its duplicates get instead
    /// says `on_decode`.
    #[non_exhaustive]
    Decode {
        /// Which key.
        key: ScopedKey,
        /// What was wrong, and where: never the recorded value.
        source: DecodeError,
    },
    /// A sync handler was called on the thread of a current-thread runtime, which it would block, or in a `LocalSet`. Nothing
    /// ran. A handler runs there all the same whose store [needs no runtime](crate::IdempotencyStore::needs_runtime), such as
    /// `MemoryStore` and `SqliteStore`, and whose `wait` is zero. In a `LocalSet` of a multi-thread runtime a panic of Tokio's
    /// tells, which is caught: not with `panic = "abort"`.
    #[non_exhaustive]
    WouldBlock {
        /// The handler's scope.
        scope: &'static str,
    },
    /// A tx handler was given a connection that isn't in a transaction, or whose transaction has ended behind its caller, as
    /// that of a deadlock's victim does on MySQL and MariaDB. Nothing ran.
    #[non_exhaustive]
    NotInTransaction {
        /// The handler's scope.
        scope: &'static str,
    },
    /// The transaction met a concurrent one and could not wait for it: a serialization failure, a deadlock, a lock that
    /// timed out. Roll the whole transaction back, never a savepoint alone, and run it again: on MySQL and MariaDB a deadlock
    /// has undone everything since its beginning, savepoints too. From [`tx::commit`](crate::tx::commit()), the server rolled back.
    #[non_exhaustive]
    Conflict {
        /// Which key. `None` where a commit failed: it is about all keys of its transaction.
        key: Option<ScopedKey>,
        /// Whether the body had run. What it wrote is undone with the rest.
        executed: bool,
        /// What the database said.
        source: StoreError,
    },
    /// The transaction ended behind the body's back, as that of a deadlock's victim does on MySQL and MariaDB, and the body
    /// went on. What it wrote before is undone; what it wrote after may be committed, statement by statement. Nothing is
    /// recorded, and a redelivery would write again what was committed: compare the business rows with the message, and put
    /// right what is there by half, before it is delivered again.
    #[non_exhaustive]
    TransactionLost {
        /// Which key. `None` where a commit found it: it is about all keys of the transaction.
        key: Option<ScopedKey>,
        /// What was found.
        source: StoreError,
    },
    /// A setting is wrong: a bad URL, a scheme whose feature is off, a second `install`. Nothing ran.
    #[non_exhaustive]
    Config {
        /// What is wrong, and what to write instead.
        message: String,
        /// What the driver said, if it was asked.
        source: Option<StoreError>,
    },
}

impl Error {
    pub(crate) fn config(message: impl Into<String>) -> Self {
        Self::Config { message: message.into(), source: None }
    }

    /// Of a URL whose store is not compiled in.
    pub(crate) fn feature_off(scheme: &str, feature: &str) -> Self {
        Self::config(format!("`{scheme}:` URLs need idem-runtime's feature `{feature}`: turn it on in Cargo.toml"))
    }

    /// The same, of a call that wanted to record the result of an earlier one.
    pub(crate) fn without_execution(self) -> Self {
        match self {
            Self::LeaseLost { key, row_gone, .. } => Self::LeaseLost { key, executed: false, row_gone },
            Self::NotRecorded { key: Some(key), source, .. } => Self::Store { key, source },
            other => other,
        }
    }

    /// Whether the handler's body ran in this call, whole or in part. An error that a body got from another handler, and
    /// passed on, speaks of that other one.
    pub fn executed(&self) -> bool {
        match self {
            Self::LeaseLost { executed, .. } | Self::Conflict { executed, .. } => *executed,
            Self::NotRecorded { .. } | Self::TransactionLost { .. } => true,
            _ => false,
        }
    }

    /// Whether delivering the message again can help.
    ///
    /// False where a human has to act first: a key that is missing, reused or parked, a fingerprint that can't be had, a
    /// record that can't be read, a setting that is wrong, a transaction that was lost. Put such a message aside, and don't
    /// acknowledge it away: except for a completed key ([`Error::ResultUnavailable`], [`Error::Decode`]), it was not handled. What a consumer does with a message, with which
    /// a wrong setting is waited out, says [`consumer::disposition`](crate::consumer::disposition).
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

    /// Whether a redelivery that comes before a human has acted can only be refused again, or do harm.
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

    /// When to deliver again, where that is known: the remaining lease of the call that is running.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingKey { scope } => write!(
                f,
                "the idempotency key in scope `{scope}` is missing: it, or a part of it, is `None` or empty; give every \
                 message a key, or let such calls run unprotected with `missing_key = \"run\"`"
            ),
            Self::KeyTooLong { scope, length } => write!(
                f,
                "an idempotency key in scope `{scope}` is {length} bytes long, and {} are allowed: use an id, or a hash \
                 of the long part",
                Key::MAX_LEN
            ),
            Self::FingerprintUnavailable { scope } => write!(
                f,
                "the `fingerprint` of the handler with scope `{scope}` can't be encoded: serde refuses its value; name fields \
                 that it encodes whatever they hold"
            ),
            Self::InProgress { key, retry_after } => {
                write!(f, "{key} is being handled by another call: deliver again in {retry_after:.1?}")
            }
            Self::KeyReused { key } => write!(
                f,
                "{key} was used with another fingerprint: two different requests have the same key, so mend the producer"
            ),
            Self::OutcomeUnknown { key } => write!(
                f,
                "{key} is parked: its last call ended without an outcome on record, so nobody knows what it did; find out, \
                 then resolve the key with `IdempotencyAdmin::resolve`"
            ),
            Self::NoStore { scope } => write!(
                f,
                "the handler with scope `{scope}` has no store: call `idem_runtime::install(store)` once at start, or \
                 name one with `store = ...`"
            ),
            Self::ScopeTaken { scope, first, second } => write!(
                f,
                "the scope `{scope}` belongs to the handler at {first}, so the one at {second} would replay its results: \
                 give each handler a scope of its own"
            ),
            Self::Store { key, source } => write!(f, "{key} could not be claimed, so nothing ran: {source}"),
            Self::LeaseLost { key, executed, row_gone: true } => write!(
                f,
                "the lease of {key} was lost {}: the store has no such key any more, because it was evicted, flushed or lost \
                 in a failover, or because its holder was silent for longer than its lease and ttl, and a sweep deleted it{}; \
                 look at the store's eviction and failovers",
                if *executed { "while its handler ran" } else { "before its handler was started" },
                if *executed { ", so this result was not recorded" } else { "" },
            ),
            Self::LeaseLost { key, executed: true, .. } => write!(
                f,
                "the lease of {key} was lost while its handler ran: another call took the key, or someone resolved or \
                 forgot it, and this one's result was not recorded; make the lease longer if the handler blocks its thread"
            ),
            Self::LeaseLost { key, executed: false, .. } => {
                write!(f, "the lease of {key} was lost before its handler was started: deliver again")
            }
            Self::NotRecorded { key: Some(key), source, in_transaction: true } => write!(
                f,
                "the handler of {key} ran, but its outcome could not be recorded in the transaction: roll back: {source}"
            ),
            Self::NotRecorded { key: None, source, in_transaction: true } => write!(
                f,
                "nobody knows whether the transaction was committed: {source}; deliver again: each of its handlers replays \
                 its result if it was, and runs if it was not"
            ),
            Self::NotRecorded { key, source, in_transaction: false } => write!(
                f,
                "{} ran, but its outcome could not be recorded while its lease held: {source}; this process goes on trying \
                 for one lease more, and a redelivery that comes before meets the key as after a crash (`on_crash`)",
                Handler(key)
            ),
            Self::ResultUnavailable { key } => write!(
                f,
                "{key} is completed, but its result was not kept: it could not be encoded, or was too large for the store"
            ),
            Self::Decode { key, source } => write!(
                f,
                "{key} is completed, but its record can't be read: {source}; if the handler's type has changed, give new \
                 fields `#[serde(default)]`, or answer such duplicates with `on_decode`; if an operator resolved the key \
                 with another type, resolve it again"
            ),
            Self::WouldBlock { scope } => write!(
                f,
                "the sync handler with scope `{scope}` was called on the thread of a current-thread runtime, or in a \
                 `LocalSet`, which it would block: make it async, or call it in `spawn_blocking`, or give it a store that \
                 needs no runtime, such as `MemoryStore`, and no `wait`"
            ),
            Self::NotInTransaction { scope } => write!(
                f,
                "the handler with scope `{scope}` was given a connection that isn't in a transaction, as far as its driver \
                 or its database knows: begin one with the driver's own method, and roll it back where a statement in it \
                 fails"
            ),
            Self::Conflict { key: Some(key), source, .. } => write!(
                f,
                "{key} met a concurrent transaction: roll back and try again, the whole transaction and not a savepoint \
                 alone: {source}"
            ),
            Self::Conflict { key: None, source, .. } => {
                write!(f, "the transaction was rolled back, not committed: try all of it again: {source}")
            }
            Self::TransactionLost { key, source } => write!(
                f,
                "the transaction of {} has ended behind it: {source}; a part of what it wrote may be committed, and nothing \
                 is recorded: compare the business rows with the message, and put them right before it is delivered again",
                Handler(key)
            ),
            Self::Config { message, source: None } => f.write_str(message),
            Self::Config { message, source: Some(source) } => write!(f, "{message}: {source}"),
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
