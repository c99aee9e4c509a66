//! The databases of tx mode.

use crate::store::table::Table;

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
    pub(super) fn how_to_migrate(self, table: &Table) -> String {
        let by_a_store = match self {
            _ if *table != Table::default() => format!("open a store with `options().table(\"{table}\")` once"),
            Self::Postgres => "run `PostgresStore::migrate` once".to_owned(),
            Self::MySql => "run `MySqlStore::migrate` once".to_owned(),
            Self::Sqlite => "open the file once with `SqliteStore`".to_owned(),
        };
        format!("roll back, and {by_a_store}, or run the SQL of `idem_runtime::tx::{}`", self.schema_call(table))
    }

    fn schema_call(self, table: &Table) -> String {
        if *table == Table::default() {
            format!("schema(Database::{self:?})")
        } else {
            format!("schema_named(Database::{self:?}, \"{table}\")")
        }
    }
}

/// The SQL that creates the tables and the view of stuck keys. It is several statements. Run them, or put them among
/// your application's migrations. Running them again changes nothing. The stores use the same tables.
/// [`schema_named`](super::schema_named) returns it with another name of the table.
///
/// It doesn't look for the tables of an earlier version, `idempotency` and `idempotency_schema`: rename these first.
/// The stores do look, and their error has the SQL that renames them.
///
/// ```
/// use idem_runtime::tx::{Database, schema};
///
/// assert!(schema(Database::Postgres).contains("CREATE TABLE IF NOT EXISTS \"idem_keys\""));
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
