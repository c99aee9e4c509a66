//! The databases of tx mode.

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

    /// Advice for an error: how to create the tables.
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

/// The SQL that creates the tables and the view of stuck keys. It is several statements. Run them, or put them among
/// your application's migrations. Running them again changes nothing. The stores use the same tables.
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
