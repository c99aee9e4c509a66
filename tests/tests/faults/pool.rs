//! A store that is opened with a user's pool, whose connections the handlers use up.

use std::any::Any;

use idem_runtime::{AnyStore, Error, MySqlStore, PostgresStore};
use sqlx::pool::PoolOptions;
use sqlx::{MySqlPool, PgPool};

use crate::worker::LEASE;

/// The number of connections: fewer than there are handlers.
const CONNECTIONS: u32 = 4;

/// A user's pool.
#[derive(Clone)]
pub(crate) enum Pool {
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// A store, and the pool that it was opened with.
pub(crate) async fn open(url: &str) -> Result<(AnyStore, Pool), Error> {
    if url.starts_with("postgres:") {
        let pool = options().connect_lazy(url).unwrap();
        Ok((AnyStore::new(PostgresStore::open_with(pool.clone()).await?), Pool::Postgres(pool)))
    } else {
        let pool = options().connect_lazy(url).unwrap();
        Ok((AnyStore::new(MySqlStore::open_with(pool.clone()).await?), Pool::MySql(pool)))
    }
}

fn options<DB: sqlx::Database>() -> PoolOptions<DB> {
    PoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(LEASE)
}

impl Pool {
    /// A connection; `None` if none was free for the length of a lease, or if the server is down.
    pub(crate) async fn connection(&self) -> Option<Box<dyn Any + Send>> {
        match self {
            Self::Postgres(pool) => Some(Box::new(pool.acquire().await.ok()?)),
            Self::MySql(pool) => Some(Box::new(pool.acquire().await.ok()?)),
        }
    }
}
