//! Failures of Redis, and which of the two kinds of [`StoreError`] each becomes.

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
    /// The driver or the server returned an error.
    Redis(RedisError),
    /// A row has a value that no version of this store writes. It is never treated as an absent row, because the body
    /// would run again.
    Corrupt { key: ScopedKey, field: &'static str },
    /// A script wrote and the state machine would not have, or the reverse.
    Disagrees { key: ScopedKey },
    /// The server has the write, but too few have confirmed it in time: its own disk, if that counts, and the replicas.
    Shortfall { wanted: Confirmation, local: bool, confirmed: i64 },
    /// The answer isn't one that Redis gives.
    Answer,
}

impl Failure {
    pub(super) fn corrupt(scope: &str, key: &Key, field: &'static str) -> Self {
        Self::Corrupt { key: ScopedKey::new(scope, key), field }
    }

    /// Adds the request's key to the failure.
    pub(super) fn of(self, scope: &str, key: &Key) -> Self {
        match self {
            Self::Redis(error) if error.code() == Some("WRONGTYPE") => Self::corrupt(scope, key, NO_ROW),
            other => other,
        }
    }

    /// The failure if too few have confirmed, from the answer of the command that waits for confirmations.
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

/// After a broken connection or a time-out, it isn't known what the server did. A server that is starting, failing over
/// or busy will answer later. A wrong password, a missing right or a full memory would be refused again.
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
        // `UNBLOCKED`: the server became a replica during a WAIT.
        ErrorKind::Extension => matches!(error.code(), Some("BUSY" | "NOREPLICAS" | "UNBLOCKED")),
        _ => false,
    }
}

/// Whether the server doesn't know the script, because it was restarted or is another one. It has not run the call.
pub(super) fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// The error if there is no connection any more.
pub(super) fn broken() -> RedisError {
    io::Error::from(io::ErrorKind::BrokenPipe).into()
}

/// The error if an answer didn't come in time.
#[cfg(any(feature = "redis-cluster", feature = "redis-sentinel"))]
pub(super) fn timed_out() -> RedisError {
    io::Error::from(io::ErrorKind::TimedOut).into()
}

/// Whether this client refused the server's certificate.
pub(super) fn is_refused_certificate(error: &RedisError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<Arc<dyn StdError + Send + Sync>>());
    source.and_then(|source| source.downcast_ref::<io::Error>()).is_some_and(tls::is_refusal)
}

/// Whether the connection leads to the wrong server, or is broken.
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
                "the value under the name of {key} in Redis is no row of this store: another program wrote it, or it is damaged; \
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
            Self::Answer => f.write_str("the server gave an answer that Redis doesn't give"),
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
