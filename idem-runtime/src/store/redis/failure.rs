//! What can go wrong in Redis, and which of the two kinds of [`StoreError`] it is.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use super::confirmation::Confirmation;
use super::rows::NO_ROW;

use crate::error::shown::Words;
use crate::error::{ScopedKey, StoreError};
use crate::store::{Key, tls};

/// The name of the store in its errors.
pub(super) const STORE: &str = "Redis";

/// Why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The driver or the server said so.
    Redis(RedisError),
    /// A row holds what no version of this store writes. Never taken for an absent row: the body would run again.
    Corrupt { key: ScopedKey, field: &'static str },
    /// A script wrote where the state machine would not have, or the other way round.
    Disagrees { key: ScopedKey },
    /// The server has the write, and too few have confirmed it in time: its own disk, if that counts, and the replicas.
    Shortfall { wanted: Confirmation, local: bool, confirmed: i64 },
    /// An answer that no server gives.
    Answer,
}

impl Failure {
    pub(super) fn corrupt(scope: &str, key: &Key, field: &'static str) -> Self {
        Self::Corrupt { key: ScopedKey::new(scope, key), field }
    }

    /// The same failure of a request for this key.
    pub(super) fn of(self, scope: &str, key: &Key) -> Self {
        match self {
            Self::Redis(error) if error.code() == Some("WRONGTYPE") => Self::corrupt(scope, key, NO_ROW),
            other => other,
        }
    }

    /// What the answer of the command that waits for confirmations says is missing.
    pub(super) fn shortfall(wanted: Confirmation, answer: &Value) -> Option<Self> {
        let (local, confirmed) = match answer {
            Value::Int(replicas) => (1, *replicas),
            Value::Array(counts) => match counts[..] {
                [Value::Int(local), Value::Int(replicas)] => (local, replicas),
                _ => return Some(Self::Answer),
            },
            _ => return Some(Self::Answer),
        };
        let local = local > 0;
        let falls_short = !local || confirmed < i64::from(wanted.replicas);
        falls_short.then_some(Self::Shortfall { wanted, local, confirmed })
    }

    /// Whether repeating the request can help.
    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            Self::Redis(error) => is_unanswered(error),
            Self::Shortfall { .. } => true,
            Self::Corrupt { .. } | Self::Disagrees { .. } | Self::Answer => false,
        }
    }
}

/// Broken connections and time-outs say nothing about what was carried out; a server that is starting, failing over or
/// busy will answer later. A wrong password, a missing permission or a full memory would say no again.
pub(super) fn is_unanswered(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Io => !is_refused_certificate(error),
        ErrorKind::Parse
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
        ),
        // `UNBLOCKED`: the server became a replica while a WAIT was under way.
        ErrorKind::Extension => matches!(error.code(), Some("BUSY" | "NOREPLICAS" | "UNBLOCKED")),
        _ => false,
    }
}

/// Whether the server doesn't know the script: it was started anew, or is another one. The call has run nowhere.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// What is told where there is no connection any more.
pub(super) fn broken() -> RedisError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

/// What is told where an answer didn't come in time.
#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
pub(super) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// Whether the server showed a certificate that this client doesn't accept.
pub(super) fn is_refused_certificate(error: &RedisError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    source.and_then(|source| source.downcast_ref::<io::Error>()).is_some_and(tls::is_refusal)
}

/// Whether the server that this connection leads to is not, or no longer, the one to ask.
pub(super) fn is_astray(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse | ErrorKind::Server(ServerErrorKind::ReadOnly))
        || error.code() == Some("UNBLOCKED")
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(error) if error.kind() == ErrorKind::Io => error.fmt(f),
            Self::Redis(error) => Words { text: error, code: error.code() }.fmt(f),
            Self::Corrupt { key, field: NO_ROW } => write!(
                f,
                "what Redis has under the name of {key} is no row of this store: it is somebody else's, or has been damaged; \
                 look at it, then delete or restore it, or give the store a `prefix` of its own"
            ),
            Self::Corrupt { key, field } => {
                write!(f, "the row of {key} is corrupted in its field `{field}`: look at it, then delete or restore it")
            }
            Self::Disagrees { key } => {
                write!(f, "the row of {key} was not written as the protocol says: is the server a Redis 5 or later?")
            }
            Self::Shortfall { wanted: Confirmation { replicas, synced, timeout }, local, confirmed } => {
                if !local {
                    return write!(f, "the server's own append-only file did not have the write within {timeout:?}");
                }
                write!(f, "{confirmed} of {replicas} replicas confirmed within {timeout:?} what the server has")?;
                if *synced { f.write_str(" in their append-only files") } else { Ok(()) }
            }
            Self::Answer => f.write_str("the server gave an answer that no Redis gives"),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Redis(error) => Some(error),
            Self::Corrupt { .. } | Self::Disagrees { .. } | Self::Shortfall { .. } | Self::Answer => None,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Shortfall { .. } => Self::unconfirmed(STORE, failure),
            _ if failure.is_unanswered() => Self::unanswered(STORE, failure),
            _ => Self::refused(STORE, failure),
        };
        error.in_own_words()
    }
}
