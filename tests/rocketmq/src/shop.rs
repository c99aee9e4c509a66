//! The business database: a table of charges without a unique constraint, so that only the library can prevent a second charge.

use std::path::{Path, PathBuf};
use std::time::Duration;

use idem_runtime::{PostgresStore, tx};
use rusqlite::{Connection, params};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgConnection, PgPool};
use tokio::runtime::Runtime;

const SQLITE: &str = "
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS charges (id INTEGER PRIMARY KEY, order_id TEXT, cents INTEGER, delivery INTEGER)";
const POSTGRES: &str =
    "CREATE TABLE IF NOT EXISTS charges (id bigserial PRIMARY KEY, order_id text, cents bigint, delivery bigint)";

/// One charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The order that was charged.
    pub order: String,
    /// The row of the journal in which it was made, counted from one.
    pub delivery: i64,
}

/// The business database.
#[derive(Debug)]
pub enum Shop {
    /// A file.
    Sqlite(File),
    /// A server, and the runtime that its connections live on.
    Postgres(PgPool, Runtime),
}

impl Shop {
    /// On the server at this URL, or else in this folder. Creates its tables.
    ///
    /// # Panics
    ///
    /// As all of these do, where the database fails.
    pub fn open(directory: &Path, postgres: Option<&str>) -> Self {
        let Some(url) = postgres else { return Self::Sqlite(File::open(directory)) };
        let runtime = Runtime::new().unwrap();
        let pool = runtime.block_on(async {
            let pool = PgPoolOptions::new().max_connections(16).connect(url).await.unwrap();
            PostgresStore::migrate(pool.clone()).await.unwrap();
            pool.execute(POSTGRES).await.unwrap();
            pool
        });
        Self::Postgres(pool, runtime)
    }

    /// All charges.
    pub fn charges(&self) -> Vec<Charge> {
        match self {
            Self::Sqlite(file) => file.charges(),
            Self::Postgres(pool, runtime) => runtime.block_on(charges_on(pool)),
        }
    }
}

/// A shop in a file.
#[derive(Clone, Debug)]
pub struct File(PathBuf);

impl File {
    fn open(directory: &Path) -> Self {
        let shop = Self(directory.join("shop.sqlite"));
        let connection = shop.connect();
        connection.execute_batch(SQLITE).unwrap();
        connection.execute_batch(tx::schema(tx::Database::Sqlite)).unwrap();
        shop
    }

    /// A connection, which waits for other writers.
    ///
    /// # Panics
    ///
    /// Where SQLite fails.
    pub fn connect(&self) -> Connection {
        let connection = Connection::open(&self.0).unwrap();
        connection.busy_timeout(Duration::from_secs(60)).unwrap();
        connection
    }

    fn charges(&self) -> Vec<Charge> {
        let connection = self.connect();
        let mut select = connection.prepare("SELECT order_id, delivery FROM charges ORDER BY id").unwrap();
        let charges = select.query_map([], |row| Ok(Charge { order: row.get(0)?, delivery: row.get(1)? })).unwrap();
        charges.map(Result::unwrap).collect()
    }
}

/// Charges, through a connection or a transaction.
///
/// # Errors
///
/// SQLite's.
pub fn charge(shop: &Connection, order: Option<&str>, cents: i64, delivery: i64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO charges (order_id, cents, delivery) VALUES (?1, ?2, ?3)";
    shop.execute(sql, params![order, cents, delivery])?;
    Ok(())
}

/// Charges on a server, through a connection or a transaction.
///
/// # Errors
///
/// The server's.
pub async fn charge_on(
    shop: &mut PgConnection,
    order: Option<&str>,
    cents: i64,
    delivery: i64,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO charges (order_id, cents, delivery) VALUES ($1, $2, $3)");
    insert.bind(order).bind(cents).bind(delivery).execute(shop).await?;
    Ok(())
}

async fn charges_on(pool: &PgPool) -> Vec<Charge> {
    let rows = sqlx::query_as("SELECT order_id, delivery FROM charges ORDER BY id").fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(order, delivery)| Charge { order, delivery }).collect()
}
