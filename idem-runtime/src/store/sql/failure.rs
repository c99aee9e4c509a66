//! What can go wrong in a SQL database, and which of the two kinds of [`StoreError`] it is.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::error::shown::Words;
use crate::error::{Error, ScopedKey, StoreError};
use crate::store::numbers::MAX_SCOPE_LEN;
use crate::store::{Key, tls};

/// What databases say differently.
pub(in crate::store) trait Dialect {
    /// The name of the store in its errors.
    const STORE: &'static str;

    /// Whether what the database says may be otherwise the next time.
    fn is_passing(error: &dyn DatabaseError) -> bool;

    /// Whether the database undid the whole statement because of others, so that it can be sent again at once.
    fn is_conflict(error: &dyn DatabaseError) -> bool;

    /// Whether the server ended the connection, or is one that can't be written any more: others to it share its fate.
    fn is_farewell(error: &dyn DatabaseError) -> bool;

    /// What it means for who wants to use the database at all, where it does: not let in, or no such database.
    fn turns_away(error: &dyn DatabaseError) -> Option<&'static str>;

    /// Whether a table is missing, or may be: some tell only those who may look at it.
    fn may_lack_table(error: &dyn DatabaseError) -> bool;

    /// Whether the server has no room for another connection.
    fn is_full(error: &dyn DatabaseError) -> bool;

    /// The database's code for it.
    fn code(error: &dyn DatabaseError) -> Option<String> {
        error.code().map(Into::into)
    }

    /// What to do about it, where that is known.
    fn advice(error: &dyn DatabaseError) -> Option<&'static str>;
}

/// Why an operation failed. Cheap to clone: one failure can be the answer to a whole batch.
#[derive(Clone, Debug)]
pub(in crate::store) enum Failure {
    /// The driver or the database said so.
    Driver(Arc<sqlx::Error>),
    /// A row holds what no version of this store writes. Never taken for an absent row: the body would run again.
    Corrupt { key: ScopedKey, column: &'static str },
    /// The scope is longer than the column.
    ScopeTooLong(usize),
    /// Others were faster, again and again.
    Outrun,
    /// A statement took too long.
    TimedOut(Duration),
    /// Opening a connection took too long.
    NotOpened(Duration),
    /// All of the store's connections were in use for too long.
    AllInUse(Duration),
    /// A pooler gives each transaction another session.
    Pooled,
    /// The database answered with something else than was asked for.
    Unexpected(&'static str),
}

impl Failure {
    pub(in crate::store) fn corrupt(scope: &str, key: &Key, column: &'static str) -> Self {
        Self::Corrupt { key: ScopedKey::new(scope, key), column }
    }

    /// Refuses a scope that the database would cut.
    pub(in crate::store) fn check_scope(scope: &str) -> Result<(), Self> {
        if scope.len() <= MAX_SCOPE_LEN { Ok(()) } else { Err(Self::ScopeTooLong(scope.len())) }
    }

    /// Whether the database undid the whole statement because of others, so that it can be sent again at once.
    pub(in crate::store) fn is_conflict<D: Dialect>(&self) -> bool {
        self.is_said_by(D::is_conflict)
    }

    /// Whether the database said so.
    pub(in crate::store) fn is_said_by(&self, is: fn(&dyn DatabaseError) -> bool) -> bool {
        matches!(self, Self::Driver(error) if error.as_database_error().is_some_and(is))
    }

    /// Whether the database itself said no, so that nothing of the statement happened.
    pub(in crate::store) fn is_definite(&self) -> bool {
        match self {
            Self::Driver(error) => error.as_database_error().is_some() || matches!(**error, sqlx::Error::Encode(_)),
            Self::Corrupt { .. } | Self::ScopeTooLong(_) | Self::Pooled => true,
            Self::Outrun | Self::TimedOut(_) | Self::NotOpened(_) | Self::AllInUse(_) | Self::Unexpected(_) => false,
        }
    }

    /// Whether a table is missing, or may be.
    pub(in crate::store) fn may_lack_table<D: Dialect>(&self) -> bool {
        self.is_said_by(D::may_lack_table)
    }

    /// Whether the connection can't be used any more, nor those that were opened before.
    pub(in crate::store) fn is_broken_connection<D: Dialect>(&self) -> bool {
        use sqlx::Error::{Database, Io, Protocol, Tls, WorkerCrashed};
        let Self::Driver(error) = self else { return false };
        match &**error {
            Io(_) | Tls(_) | Protocol(_) | WorkerCrashed => true,
            Database(error) => D::is_farewell(&**error),
            _ => false,
        }
    }

    /// As the error of a store that can't be opened for it: `what` could not be done, unless it is about something else.
    pub(in crate::store) fn into_refusal<D: Dialect>(self, what: &str) -> Error {
        let turned_away = match &self {
            Self::Driver(error) => error.as_database_error().and_then(D::turns_away),
            Self::Pooled => Some("it is behind a pooler"),
            _ => None,
        };
        let what = turned_away.unwrap_or(if self.is_definite() { what } else { "it can't be reached" });
        Error::Config {
            message: format!("the {} database can't be used as a store: {what}", D::STORE),
            source: Some(self.into_error::<D>()),
        }
    }

    /// Tells that the view could not be created. A store works without it, and its user need not have that right.
    pub(in crate::store) fn warn_of_no_view<D: Dialect>(self) {
        tracing::warn!(
            store = D::STORE,
            error = %self.into_error::<D>(),
            "the view `idempotency_stuck`, which shows an operator the keys that nobody is working on, is not there or not to \
             be seen, and could not be created: have someone with the right to create views run stuck.sql"
        );
    }

    /// As the public error of a store.
    pub(in crate::store) fn into_error<D: Dialect>(self) -> StoreError {
        let unanswered = match &self {
            Self::Driver(error) => match &**error {
                sqlx::Error::Database(error) => D::is_passing(&**error),
                sqlx::Error::Io(error) => !tls::is_refusal(error),
                sqlx::Error::Configuration(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::Tls(_) => false,
                _ => true,
            },
            Self::Corrupt { .. } | Self::ScopeTooLong(_) | Self::Pooled => false,
            Self::Outrun | Self::TimedOut(_) | Self::NotOpened(_) | Self::AllInUse(_) | Self::Unexpected(_) => true,
        };
        let (advice, code) = match &self {
            Self::Driver(error) => {
                (advice::<D>(error, cfg!(feature = "tls")), error.as_database_error().and_then(D::code))
            }
            _ => (None, None),
        };
        let explained = Explained { failure: self, code, advice };
        let error = if unanswered {
            StoreError::unanswered(D::STORE, explained)
        } else {
            StoreError::refused(D::STORE, explained)
        };
        error.in_own_words()
    }
}

/// What to do about it, where the feature `tls` is on or off.
fn advice<D: Dialect>(error: &sqlx::Error, tls: bool) -> Option<&'static str> {
    match error {
        sqlx::Error::Database(error) => D::advice(&**error),
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some("the URL names a file or a socket that isn't there")
        }
        // The latter is about a password that MySQL takes over TLS alone.
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) if !tls && error.to_string().contains("TLS") => {
            Some("TLS comes with idem-runtime's feature `tls`: turn it on in Cargo.toml")
        }
        _ => None,
    }
}

/// Whether its text can have a part of a statement, a parameter or a row.
fn quotes(error: &sqlx::Error) -> bool {
    use sqlx::Error::{ColumnDecode, Database, Decode, Encode, Protocol};
    matches!(error, Database(_) | Protocol(_) | Encode(_) | Decode(_) | ColumnDecode { .. })
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Self::Unexpected("a statement could not be written")
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(Arc::new(error))
    }
}

/// A failure, and what to do about it.
#[derive(Debug)]
struct Explained {
    failure: Failure,
    code: Option<String>,
    advice: Option<&'static str>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Failure::Driver(error) if quotes(error) => {
                Words { text: &**error, code: self.code.as_deref() }.fmt(f)?;
            }
            Failure::Driver(error) => error.fmt(f)?,
            Failure::Corrupt { key, column } => {
                write!(
                    f,
                    "the row of {key} is corrupted in its column `{column}`: look at it, then delete or mend it"
                )?;
            }
            Failure::ScopeTooLong(length) => write!(
                f,
                "a scope is {length} bytes long, and {MAX_SCOPE_LEN} are allowed: give the handler a shorter `scope`"
            )?,
            Failure::Outrun => f.write_str("the key changed hands again and again while it was asked for")?,
            Failure::TimedOut(after) => write!(f, "a statement was not answered within {after:?}")?,
            Failure::NotOpened(after) => write!(f, "no connection could be opened within {after:?}")?,
            Failure::AllInUse(after) => write!(
                f,
                "all connections of the store were in use for {after:?}: the server may be slow, or give it no more of them; \
                 `max_connections` says how many it opens"
            )?,
            Failure::Pooled => f.write_str(
                "a pooler gives each transaction another session, so that a statement can get another one's answer: open \
                 the store with `simple_queries(true)`, or past the pooler",
            )?,
            Failure::Unexpected(what) => f.write_str(what)?,
        }
        self.advice.map_or(Ok(()), |advice| write!(f, ": {advice}"))
    }
}

impl StdError for Explained {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.failure {
            Failure::Driver(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    enum Silent {}

    impl Dialect for Silent {
        const STORE: &'static str = "";

        fn is_passing(_: &dyn DatabaseError) -> bool {
            false
        }

        fn is_conflict(_: &dyn DatabaseError) -> bool {
            false
        }

        fn is_farewell(_: &dyn DatabaseError) -> bool {
            false
        }

        fn turns_away(_: &dyn DatabaseError) -> Option<&'static str> {
            None
        }

        fn may_lack_table(_: &dyn DatabaseError) -> bool {
            false
        }

        fn is_full(_: &dyn DatabaseError) -> bool {
            false
        }

        fn advice(_: &dyn DatabaseError) -> Option<&'static str> {
            None
        }
    }

    #[test]
    fn tls_without_its_feature_is_advised_to_turn_it_on() {
        for error in [
            sqlx::Error::Tls("SQLx was built without TLS support enabled".into()),
            sqlx::Error::Configuration("RSA auth backend disabled; enable feature `mysql-rsa` or use TLS.".into()),
        ] {
            let advised = advice::<Silent>(&error, false);
            assert!(advised.is_some_and(|advice| advice.contains("idem-runtime's feature `tls`")), "{error}");
            assert_eq!(advice::<Silent>(&error, true), None);
            assert!(!Failure::from(error).into_error::<Silent>().is_unanswered(), "it would be refused again");
        }
    }
}
