//! Failures of a SQL database, and which of the two kinds of [`StoreError`] each becomes.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::error::DatabaseError;

use crate::error::shown::Words;
use crate::error::{Error, ScopedKey, StoreError};
use crate::store::numbers::MAX_SCOPE_LEN;
use crate::store::table::Table;
use crate::store::{Key, tls};

/// The errors of one database system.
pub(in crate::store) trait Dialect {
    /// The name of the store in its errors.
    const STORE: &'static str;

    /// Whether the error may be gone when the statement is sent again.
    fn is_passing(error: &dyn DatabaseError) -> bool;

    /// Whether the database rolled the whole statement back because of other transactions, so that it can be sent again.
    fn is_conflict(error: &dyn DatabaseError) -> bool;

    /// Whether the server ended the connection, or can't be written any more. Other connections to it have probably
    /// failed too.
    fn is_farewell(error: &dyn DatabaseError) -> bool;

    /// Why the database can't be used at all, if the error says so: the login was refused, or there is no such
    /// database.
    fn turns_away(error: &dyn DatabaseError) -> Option<&'static str>;

    /// Whether a table is missing, or may be missing: some servers hide that from a user who has no right to the table.
    fn may_lack_table(error: &dyn DatabaseError) -> bool;

    /// Whether the server has no room for another connection.
    fn is_full(error: &dyn DatabaseError) -> bool;

    /// The database's code for the error.
    fn code(error: &dyn DatabaseError) -> Option<String> {
        error.code().map(Into::into)
    }

    /// What the user can do about the error, if that is known.
    fn advice(error: &dyn DatabaseError) -> Option<&'static str>;
}

/// Why an operation failed. It is cheap to clone, because one failure can be the answer to a whole batch.
#[derive(Clone, Debug)]
pub(in crate::store) enum Failure {
    /// The driver or the database returned an error.
    Driver(Arc<sqlx::Error>),
    /// A row has a value that no version of this store writes. It is never treated as an absent row, because the body
    /// would run again.
    Corrupt { key: ScopedKey, column: &'static str },
    /// The scope is too long for its column.
    ScopeTooLong(usize),
    /// Other claims of the key came first, each time it was sent.
    Outrun,
    /// A statement took too long.
    TimedOut(Duration),
    /// Opening a connection took too long.
    NotOpened(Duration),
    /// All of the store's connections were in use for too long.
    AllInUse(Duration),
    /// A pooler gives each transaction another session.
    Pooled,
    /// The database's answer doesn't fit the statement.
    Unexpected(&'static str),
}

impl Failure {
    pub(in crate::store) fn corrupt(scope: &str, key: &Key, column: &'static str) -> Self {
        Self::Corrupt { key: ScopedKey::new(scope, key), column }
    }

    /// Refuses a scope that is too long for the database.
    pub(in crate::store) fn check_scope(scope: &str) -> Result<(), Self> {
        if scope.len() <= MAX_SCOPE_LEN { Ok(()) } else { Err(Self::ScopeTooLong(scope.len())) }
    }

    /// Whether the database rolled the whole statement back because of other transactions, so that it can be sent again.
    pub(in crate::store) fn is_conflict<D: Dialect>(&self) -> bool {
        self.is_said_by(D::is_conflict)
    }

    /// Whether the database returned an error of this kind.
    pub(in crate::store) fn is_said_by(&self, is: fn(&dyn DatabaseError) -> bool) -> bool {
        matches!(self, Self::Driver(error) if error.as_database_error().is_some_and(is))
    }

    /// Whether the database itself refused the statement, so that it changed nothing.
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

    /// Whether this connection can't be used any more, and neither can those that were opened before.
    pub(in crate::store) fn is_broken_connection<D: Dialect>(&self) -> bool {
        use sqlx::Error::{Database, Io, Protocol, Tls, WorkerCrashed};
        let Self::Driver(error) = self else { return false };
        match &**error {
            Io(_) | Tls(_) | Protocol(_) | WorkerCrashed => true,
            Database(error) => D::is_farewell(&**error),
            _ => false,
        }
    }

    /// Makes the error of a store that can't be opened. `what` says what failed. If the failure has another cause, the
    /// error names that instead.
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

    /// The error of a store that can't be opened although the database answers.
    pub(in crate::store) fn unusable<D: Dialect>(what: &str) -> Error {
        Error::config(format!("the {} database can't be used as a store: {what}", D::STORE))
    }

    /// Logs that the view could not be created. The store works without it, and its user needn't have the right to
    /// create it.
    pub(in crate::store) fn warn_of_no_view<D: Dialect>(self, table: &Table) {
        tracing::warn!(
            store = D::STORE,
            error = %self.into_error::<D>(),
            "the view `{table}_stuck`, which shows an operator the keys that nobody is working on, does not exist or is \
             hidden from this user, and could not be created: have a user with the right to create views run stuck.sql"
        );
    }

    /// The store's public error.
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

/// What the user can do about an error. `tls` says whether the feature is on.
fn advice<D: Dialect>(error: &sqlx::Error, tls: bool) -> Option<&'static str> {
    match error {
        sqlx::Error::Database(error) => D::advice(&**error),
        sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Some("the URL names a file or a socket that isn't there")
        }
        // `Configuration` is about a password that MySQL accepts only over TLS.
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) if !tls && error.to_string().contains("TLS") => {
            Some("TLS comes with idem-runtime's feature `tls`: turn it on in Cargo.toml")
        }
        _ => None,
    }
}

/// Whether the error's text can contain a part of a statement, a parameter or a row.
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

/// A failure, and what the user can do about it.
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
            Failure::Outrun => f.write_str("other requests changed the key each time that this one was sent")?,
            Failure::TimedOut(after) => write!(f, "a statement was not answered within {after:?}")?,
            Failure::NotOpened(after) => write!(f, "no connection could be opened within {after:?}")?,
            Failure::AllInUse(after) => write!(
                f,
                "all connections of the store were in use for {after:?}: the server may be slow, or have no room for more \
                 connections; the option `max_connections` sets how many the store opens"
            )?,
            Failure::Pooled => f.write_str(
                "a pooler gives each transaction another session, so that a statement can get the answer of another one: open \
                 the store with `simple_queries(true)`, or connect it directly to the server",
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
