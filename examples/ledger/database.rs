//! One type for a database that is SQLite or PostgreSQL, as the command line has it. A service with one database needs none
//! of this: it opens a `PgPool`, and its handlers take a `&mut sqlx::PgTransaction<'_>`.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use idem_runtime::tx;
use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Row as _};

use crate::Fatal;

/// The SQL and the settings that differ between the two.
struct Dialect {
    database: tx::Database,
    /// The tables of the accounts and the transfers.
    tables: &'static str,
    /// Statements that are run once on each new connection.
    session: &'static str,
    begin: &'static str,
    connections: u32,
}

static SQLITE: Dialect = Dialect {
    database: tx::Database::Sqlite,
    tables: include_str!("sqlite.sql"),
    session: "PRAGMA journal_mode = WAL",
    // Takes the write lock before it reads. So it waits for another writer, and doesn't fail when it writes.
    begin: "BEGIN IMMEDIATE",
    // SQLite has one writer. With one connection, the others wait in the pool's queue.
    connections: 1,
};

static POSTGRES: Dialect = Dialect {
    database: tx::Database::Postgres,
    tables: include_str!("postgres.sql"),
    // A duplicate waits for the first transaction, but not longer than this.
    session: "SET lock_timeout = '2s'",
    // At a stricter level, a duplicate gets `Error::Conflict` after it has waited.
    begin: "BEGIN ISOLATION LEVEL READ COMMITTED",
    connections: 10,
};

#[derive(Clone)]
pub(crate) struct Database {
    pool: AnyPool,
    dialect: &'static Dialect,
}

impl Database {
    /// Opens the database, and creates its own tables and the library's.
    ///
    /// Once the `ttl` of a key is over, its row isn't needed any more. A service that runs for long deletes such rows now and then:
    /// see [`idem_runtime::tx`].
    pub(crate) async fn open(url: &str) -> Result<Self, Fatal> {
        sqlx::any::install_default_drivers();
        let dialect = match url.split_once(':') {
            Some(("sqlite", _)) => &SQLITE,
            Some(("postgres" | "postgresql", _)) => &POSTGRES,
            _ => return Err("--store is a postgres://… or a sqlite:FILE".into()),
        };
        // A single connection before the pool: it fails at once with the reason, while a pool would go on trying.
        let mut first = AnyConnection::connect(url).await?;
        for tables in [dialect.tables, tx::schema(dialect.database)] {
            sqlx::raw_sql(tables).execute(&mut first).await?;
        }
        first.close().await?;
        let pool = AnyPoolOptions::new()
            .max_connections(dialect.connections)
            .acquire_timeout(Duration::from_secs(5))
            .after_connect(|connection, _| {
                Box::pin(async { sqlx::raw_sql(dialect.session).execute(connection).await.map(drop) })
            })
            .connect_lazy(url)?;
        Ok(Self { pool, dialect })
    }

    pub(crate) async fn connection(&self) -> sqlx::Result<sqlx::pool::PoolConnection<Any>> {
        self.pool.acquire().await
    }

    pub(crate) async fn begin(&self) -> sqlx::Result<Tx> {
        Ok(Tx { tx: self.pool.begin_with(self.dialect.begin).await?, database: self.dialect.database })
    }
}

/// A transaction on either database. It is rolled back when it is dropped.
pub(crate) struct Tx {
    tx: sqlx::Transaction<'static, Any>,
    database: tx::Database,
}

impl Deref for Tx {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.tx
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }
}

/// Makes it a transaction for the argument `tx`. The library implements this for sqlx's transactions on each database, but not for
/// `Any`.
impl tx::Transaction for Tx {
    fn database(&self) -> tx::Database {
        self.database
    }

    fn is_in_transaction(&mut self) -> bool {
        true // its type says so
    }

    async fn query(&mut self, statement: tx::Statement<'_>) -> Result<Option<Vec<tx::Value>>, tx::Failure> {
        let found = bound(&statement).fetch_optional(&mut *self.tx).await;
        let read = |row: sqlx::any::AnyRow| {
            let values = statement.columns.iter().map(|column| match column.kind {
                tx::ColumnKind::Integer => row.try_get(column.name).map(tx::Value::Integer),
                tx::ColumnKind::Bytes => row.try_get(column.name).map(tx::Value::Bytes),
            });
            values.collect()
        };
        found.and_then(|row| row.map(read).transpose()).map_err(|error| failure(self.database, error))
    }

    async fn execute(&mut self, statement: tx::Statement<'_>) -> Result<u64, tx::Failure> {
        let done = bound(&statement).execute(&mut *self.tx).await;
        done.map(|done| done.rows_affected()).map_err(|error| failure(self.database, error))
    }
}

/// Makes it a transaction for `tx::commit`.
impl tx::Commit for Tx {
    type Committed = tx::Committing<'static>;

    fn commit(mut self) -> Self::Committed {
        Box::pin(async move {
            let database = self.database;
            let failed = |error| failure(database, error).at_commit();
            // PostgreSQL answers the commit of a failed transaction with a rollback, and sqlx's `commit` is then `Ok`. In a failed
            // transaction, this statement fails.
            if database == tx::Database::Postgres {
                sqlx::raw_sql("SELECT 1").execute(&mut *self.tx).await.map_err(failed)?;
            }
            self.tx.commit().await.map_err(failed)
        })
    }
}

fn failure(database: tx::Database, error: sqlx::Error) -> tx::Failure {
    let code = error.as_database_error().and_then(|error| Some(error.code()?.into_owned()));
    match code {
        Some(code) => tx::Failure::answered(database, &code, error),
        None => tx::Failure::unanswered(error),
    }
}

fn bound<'q>(statement: &tx::Statement<'q>) -> sqlx::query::Query<'q, Any, sqlx::any::AnyArguments> {
    statement.params.iter().fold(sqlx::query(sqlx::AssertSqlSafe(statement.sql)), |query, param| match *param {
        tx::Param::Text(text) => query.bind(text),
        tx::Param::Bytes(bytes) => query.bind(bytes),
        tx::Param::Integer(number) => query.bind(number),
    })
}
