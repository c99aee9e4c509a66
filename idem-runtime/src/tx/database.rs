//! The databases that tx mode knows.

/// A database whose SQL tx mode speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Database {
    /// PostgreSQL 12 or later.
    Postgres,
    /// MySQL 8.0 or later, MariaDB 10.6 or later.
    MySql,
    /// SQLite 3.37 or later.
    Sqlite,
}

impl Database {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// How to create the tables.
    pub(super) fn how_to_migrate(self) -> &'static str {
        match self {
            Self::Postgres => {
                "roll back, and run `PostgresStore::migrate` once, or the SQL of `idem_runtime::tx::schema(Database::Postgres)`"
            }
            Self::MySql => {
                "roll back, and run `MySqlStore::migrate` once, or the SQL of `idem_runtime::tx::schema(Database::MySql)`"
            }
            Self::Sqlite => {
                "roll back, and open the file once with `SqliteStore`, or run the SQL of `idem_runtime::tx::schema(Database::Sqlite)` on it"
            }
        }
    }
}

/// The tables and the view of stuck keys, as SQL: several statements, to be run as they are, or put among the migrations of an
/// application. Running them again changes nothing. They are those of the stores.
///
/// ```
/// use idem_runtime::tx::{Database, schema};
///
/// assert!(schema(Database::Postgres).contains("CREATE TABLE IF NOT EXISTS idempotency"));
/// ```
pub fn schema(database: Database) -> &'static str {
    match database {
        Database::Postgres => {
            concat!(include_str!("../store/postgres/schema.sql"), include_str!("../store/postgres/stuck.sql"))
        }
        Database::MySql => concat!(include_str!("../store/mysql/schema.sql"), include_str!("../store/mysql/stuck.sql")),
        Database::Sqlite => {
            concat!(include_str!("../store/sqlite/schema.sql"), include_str!("../store/sqlite/stuck.sql"))
        }
    }
}
