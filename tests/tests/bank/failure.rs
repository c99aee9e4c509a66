//! Why an attempt failed, and whether another one can help.

use idem_runtime::Error;
use sqlx::mysql::MySqlDatabaseError;

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// An error of the library.
    Refused(Error),
    /// An error of the handler's own SQL, or of its caller's.
    Sql(sqlx::Error),
}

/// Why another attempt can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The handler's own SQL was in conflict with a concurrent transaction.
    OwnConflict,
    /// The library's SQL was in conflict with a concurrent transaction.
    Conflict,
    InProgress,
    /// The body ran, and the error says that its result isn't recorded.
    NotRecorded,
    /// The database gave no answer.
    Disconnected,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failed {
    /// Why another attempt can help; `None` if it can't.
    pub(crate) fn again(&self) -> Option<Again> {
        match self {
            Self::Sql(error) => again(error),
            Self::Refused(error) if !error.is_retryable() => None,
            Self::Refused(Error::Conflict { .. }) => Some(Again::Conflict),
            Self::Refused(Error::InProgress { .. }) => Some(Again::InProgress),
            Self::Refused(error) if error.executed() => Some(Again::NotRecorded),
            Self::Refused(_) => Some(Again::Disconnected),
        }
    }
}

/// The same for an error of SQL.
fn again(error: &sqlx::Error) -> Option<Again> {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut => return Some(Again::Disconnected),
        _ => return None,
    };
    let code = match error.try_downcast_ref::<MySqlDatabaseError>() {
        Some(error) => error.number().to_string(),
        None => error.code().unwrap_or_default().into_owned(),
    };
    match code.as_str() {
        // A serialization failure and a deadlock of PostgreSQL; a deadlock, a lock that took too long and a row that has
        // changed of MariaDB; a busy database of SQLite, and one that has changed since it was read.
        "40001" | "40P01" | "1213" | "1205" | "1020" | "5" | "517" => Some(Again::OwnConflict),
        // PostgreSQL is killed, or not yet there.
        "57P01" | "57P02" | "57P03" => Some(Again::Disconnected),
        _ => None,
    }
}
