//! What a driver's error means to the caller's transaction.

use super::Database;
use super::ended::{NOT_IN_TRANSACTION, lost};
use super::named::table;
use crate::error::{Error, ScopedKey, StoreError};
use crate::store::table::FORMER;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a statement failed.
#[derive(Debug)]
pub struct Failure {
    /// The database that answered, and the code of its error. `None`: it didn't answer.
    answer: Option<(Database, String)>,
    source: Source,
}

/// What an error means for a call.
enum Kind {
    /// A concurrent transaction got in the way. If this one is rolled back and run again, it can succeed.
    Conflict,
    /// The table is missing or lacks a column.
    NoTable,
    Refused,
}

/// What an error of a COMMIT means.
enum Ending {
    RolledBack,
    /// There was no transaction to commit.
    Ended,
    /// The transaction may be committed.
    Unknown,
}

impl Failure {
    /// The database answered with an error. `code` is PostgreSQL's SQLSTATE, such as `40001`, or the error number of
    /// MySQL or SQLite (also an extended one). The code tells a conflict, after which the transaction can be run again,
    /// from other errors. With a driver that keeps no code, give an empty one: such an error counts as no conflict.
    pub fn answered(database: Database, code: &str, source: impl Into<Source>) -> Self {
        Self { answer: Some((database, code.to_owned())), source: source.into() }
    }

    /// Nobody knows what the database did: the connection broke, or its answer can't be read.
    pub fn unanswered(source: impl Into<Source>) -> Self {
        Self { answer: None, source: source.into() }
    }

    /// The error that [`commit`](super::commit) returns. This is the failure of the `COMMIT`, or of a statement that
    /// was sent before it to ask whether the transaction can be committed.
    pub fn at_commit(self) -> Error {
        let Some((database, code)) = self.answer else {
            let source = StoreError::unanswered("the database", self.source);
            return Error::NotRecorded { key: None, source, in_transaction: true };
        };
        let ending = ending(database, &code, &self.source);
        let source = StoreError::refused(database.name(), self.source).with_code(&code);
        match ending {
            Ending::RolledBack => Error::Conflict { key: None, executed: true, source },
            Ending::Ended => lost(database, None),
            Ending::Unknown => Error::NotRecorded { key: None, source, in_transaction: true },
        }
    }

    /// The error of a call. `executed` says whether its body ran.
    pub(super) fn into_error(self, key: ScopedKey, executed: bool) -> Error {
        let Some((database, code)) = self.answer else {
            return failed(key, executed, StoreError::unanswered("the database", self.source));
        };
        let kind = kind(database, &code, &self.source);
        let source = StoreError::refused(database.name(), self.source).with_code(&code);
        match kind {
            Kind::Conflict => Error::Conflict { key: Some(key), executed, source },
            Kind::NoTable if !executed => Error::Config {
                message: format!(
                    "{key} could not be claimed: the {} database has no table `{}`, or not the one that this version needs: \
                     {}; if the table is someone else's, name another one (`tx::use_table`); if the database has the table \
                     `{FORMER}` of an earlier version, rename that one, as the error of a store says when it is opened, or go on \
                     with it (`tx::use_table(\"{FORMER}\")`)",
                    database.name(),
                    table(),
                    database.how_to_migrate(table()),
                ),
                source: Some(source),
            },
            Kind::NoTable | Kind::Refused => failed(key, executed, source),
        }
    }
}

fn failed(key: ScopedKey, executed: bool, source: StoreError) -> Error {
    if executed {
        Error::NotRecorded { key: Some(key), source, in_transaction: true }
    } else {
        Error::Store { key, source }
    }
}

fn kind(database: Database, code: &str, source: &Source) -> Kind {
    let (conflict, no_table) = match database {
        // Class 40: the server rolled the transaction back. 55P03: the wait for a lock timed out. 57014: the statement
        // was canceled.
        Database::Postgres => {
            (code.starts_with("40") || matches!(code, "55P03" | "57014"), matches!(code, "42P01" | "42703" | "3F000"))
        }
        // A deadlock, a lock wait timeout, a row that changed since the snapshot (MariaDB), a lock that NOWAIT didn't
        // get.
        Database::MySql => (matches!(code, "1213" | "1205" | "1020" | "3572"), matches!(code, "1146" | "1054")),
        Database::Sqlite => match primary(code) {
            Some(5 | 6) => (true, false),
            // A general error. Only its text says which one.
            Some(1) => {
                let text = source.to_string();
                (false, text.contains("no such table") || text.contains("no such column") || text.contains("no column"))
            }
            _ => (false, false),
        },
    };
    match (conflict, no_table) {
        (true, _) => Kind::Conflict,
        (_, true) => Kind::NoTable,
        _ => Kind::Refused,
    }
}

fn ending(database: Database, code: &str, source: &Source) -> Ending {
    let rolled_back = match database {
        // Codes that don't say whether the transaction was committed: a pooler or a server that ends the connection
        // (08, 57P), an internal failure of the server (58, XX), and one that says so itself (40003).
        Database::Postgres if code == NOT_IN_TRANSACTION => return Ending::Ended,
        Database::Postgres => {
            !code.is_empty() && !["08", "57P", "58", "XX", "40003"].iter().any(|unknown| code.starts_with(unknown))
        }
        // The savepoint does not exist.
        Database::MySql if code == "1305" => return Ending::Ended,
        // 3101: group replication refused the transaction.
        Database::MySql => matches!(code, "1213" | "1205" | "1020" | "3572" | "3101"),
        // Busy, locked, full, a constraint.
        Database::Sqlite => match primary(code) {
            Some(1) if source.to_string().contains("no transaction is active") => return Ending::Ended,
            code => matches!(code, Some(5 | 6 | 13 | 19)),
        },
    };
    if rolled_back { Ending::RolledBack } else { Ending::Unknown }
}

/// SQLite's primary code, which is the lowest byte of an extended one.
fn primary(code: &str) -> Option<i64> {
    code.parse::<i64>().ok().map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Key;

    fn error(database: Database, code: &str, text: &str, executed: bool) -> Error {
        let key = Key::from_bytes(b"k").expect("a key");
        Failure::answered(database, code, text.to_owned()).into_error(ScopedKey::new("s", &key), executed)
    }

    #[test]
    fn r23_conflicts_are_told_from_other_errors() {
        for (database, code) in [
            (Database::Postgres, "40001"),
            (Database::Postgres, "40P01"),
            (Database::Postgres, "55P03"),
            (Database::Postgres, "57014"),
            (Database::MySql, "1213"),
            (Database::MySql, "1205"),
            (Database::MySql, "1020"),
            (Database::Sqlite, "5"),
            (Database::Sqlite, "517"),
            (Database::Sqlite, "6"),
            (Database::Sqlite, "262"),
        ] {
            for executed in [false, true] {
                let error = error(database, code, "text", executed);
                assert!(matches!(error, Error::Conflict { .. }), "{database:?} {code}: {error}");
                assert!(error.is_retryable());
                assert_eq!(executed, error.executed());
            }
        }
        for (database, code) in [(Database::Postgres, "23505"), (Database::MySql, "1062"), (Database::Sqlite, "19")] {
            assert!(matches!(error(database, code, "text", false), Error::Store { .. }), "{database:?} {code}");
            assert!(matches!(error(database, code, "text", true), Error::NotRecorded { .. }), "{database:?} {code}");
        }
    }

    #[test]
    fn r22_what_is_said_at_a_commit_is_told_apart() {
        let at_commit =
            |database, code: &str, text: &str| Failure::answered(database, code, text.to_owned()).at_commit();
        for (database, code) in [
            // It has failed before; a deferred constraint; not serializable; a full disk; a canceled statement.
            (Database::Postgres, "25P02"),
            (Database::Postgres, "23503"),
            (Database::Postgres, "40001"),
            (Database::Postgres, "53100"),
            (Database::Postgres, "57014"),
            (Database::MySql, "1213"),
            (Database::MySql, "3101"),
            (Database::Sqlite, "5"),
            (Database::Sqlite, "13"),
            (Database::Sqlite, "787"),
        ] {
            let error = at_commit(database, code, "text");
            assert!(matches!(error, Error::Conflict { key: None, .. }), "{database:?} {code}: {error}");
            assert!(error.to_string().contains("rolled back, not committed: try all of it again"), "{error}");
            assert!(error.executed() && error.is_retryable());
        }
        for (database, code) in [
            // A pooler whose server is gone; a server that shuts down; a broken file; an answer that says so itself.
            (Database::Postgres, "08P01"),
            (Database::Postgres, "57P01"),
            (Database::Postgres, "58030"),
            (Database::Postgres, "40003"),
            (Database::MySql, "1180"),
            (Database::Sqlite, "10"),
        ] {
            let error = at_commit(database, code, "text");
            assert!(matches!(error, Error::NotRecorded { key: None, in_transaction: true, .. }), "{code}: {error}");
            assert!(error.to_string().contains("nobody knows whether the transaction was committed"), "{error}");
            assert!(error.executed() && error.is_retryable());
        }
        for (database, code, text) in [
            (Database::Postgres, "25P01", "SAVEPOINT can only be used in transaction blocks"),
            (Database::MySql, "1305", "SAVEPOINT idempotency does not exist"),
            (Database::Sqlite, "1", "cannot commit - no transaction is active"),
        ] {
            let error = at_commit(database, code, text);
            assert!(matches!(error, Error::TransactionLost { key: None, .. }), "{database:?}: {error}");
            assert!(error.to_string().contains("compare the business rows with the message"), "{error}");
            assert!(error.executed() && !error.is_retryable());
        }
        let error = Failure::unanswered("the connection broke").at_commit();
        assert!(matches!(error, Error::NotRecorded { key: None, in_transaction: true, .. }), "{error}");
    }

    #[test]
    fn a_missing_table_is_said_to_be_missing() {
        for (database, code, text) in [
            (Database::Postgres, "42P01", "relation \"idem_keys\" does not exist"),
            (Database::MySql, "1146", "Table 'x.idem_keys' doesn't exist"),
            (Database::Sqlite, "1", "no such table: idem_keys"),
        ] {
            let error = error(database, code, text, false);
            assert!(matches!(error, Error::Config { .. }), "{error}");
            assert!(error.to_string().contains("idem_runtime::tx::schema"), "{error}");
            assert!(!error.is_retryable());
        }
    }
}
