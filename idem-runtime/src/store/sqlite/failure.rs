//! Failures of SQLite, and which of the two kinds of [`StoreError`] each becomes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::shown::Words;
use crate::error::{ScopedKey, StoreError};
use crate::store::Key;

/// The name of the store in its errors.
pub(super) const STORE: &str = "SQLite";

/// Why an operation failed. It is cheap to clone, because one failure can be the answer to a whole batch.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// SQLite returned an error.
    Sqlite(Arc<rusqlite::Error>),
    /// A row has a value that no version of this store writes. It is never treated as an absent row, because the body
    /// would run again.
    Corrupt { key: ScopedKey, column: &'static str },
    /// A reader keeps the log from starting over.
    LongLog { bytes: u64 },
    /// The store's threads have ended.
    Closed,
}

impl Failure {
    pub(super) fn corrupt(scope: &str, key: &Key, column: &'static str) -> Self {
        Self::Corrupt { key: ScopedKey::new(scope, key), column }
    }

    /// Whether SQLite failed, so that the rest of the transaction can't be relied on either.
    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Whether another process held the write lock for too long.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_busy(error))
    }
}

/// Whether an error says that another connection had the lock.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// SQLite's extended result code.
fn code(error: &rusqlite::Error) -> Option<String> {
    error.sqlite_error().map(|error| error.extended_code.to_string())
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) => {
                write!(f, "{error}: the file was opened read-only (`mode=ro`), or this process may only read it")
            }
            Self::Sqlite(error) if is_busy(error) => write!(
                f,
                "{error}: another transaction kept the file's write lock for longer than the store's `busy_timeout`; if it is \
                 one in which this handler was called, end it first, or give the store a file of its own"
            ),
            Self::Sqlite(error) => Words { text: &**error, code: code(error).as_deref() }.fmt(f),
            Self::Corrupt { key, column } => write!(
                f,
                "the row of {key} is corrupted in its column `{column}`: look at it, then delete it or restore the file"
            ),
            Self::LongLog { bytes } => write!(
                f,
                "nothing is swept while the file's write-ahead log is over 64 MB: it has {} MB, and can't start over because \
                 a transaction is reading the file: end that transaction, then sweep again",
                bytes / (1024 * 1024)
            ),
            Self::Closed => f.write_str("the store's threads have ended"),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Sqlite(error) => Some(error),
            Self::Corrupt { .. } | Self::LongLog { .. } | Self::Closed => None,
        }
    }
}

/// A busy file, an interruption, a lack of memory and an I/O error may be gone at the next attempt, and after an I/O
/// error it isn't known what was written. A full disk, a read-only file and a damaged file would fail again.
impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        let unanswered = match &failure {
            Failure::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::FileLockingProtocolFailed
                        | ErrorCode::OperationInterrupted
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::OutOfMemory
                )
            ),
            Failure::Corrupt { .. } | Failure::LongLog { .. } => false,
            Failure::Closed => true,
        };
        let error = if unanswered { Self::unanswered(STORE, failure) } else { Self::refused(STORE, failure) };
        error.in_own_words()
    }
}
