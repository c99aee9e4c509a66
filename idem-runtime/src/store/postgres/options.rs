//! How a store is opened.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::PostgresStore;
use crate::error::Error;
use crate::store::sql::Connections;
use crate::store::tls;

/// Plans are made once for each connection, and never read the whole table: the statistics of a table that was small a
/// minute ago would say so. Who holds a row for longer than a moment is no claim that is being committed: waiting for it
/// would hold up those who share the statement, and keep the server waiting when its client has gone.
const SETTINGS: [(&str, &str); 3] =
    [("plan_cache_mode", "force_generic_plan"), ("enable_seqscan", "off"), ("lock_timeout", "1s")];

/// How to open a [`PostgresStore`]: made by [`PostgresStore::options`].
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::PostgresStore;
///
/// let store = PostgresStore::options().max_connections(16).open("postgres://app@db.example/app").await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options open nothing until `open` is called"]
pub struct PostgresOptions {
    pub(super) max_connections: usize,
    pub(super) simple_queries: bool,
    pub(super) migrate: bool,
    pub(super) sweep_interval: Option<Duration>,
    pub(super) sweep_batch: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            simple_queries: false,
            migrate: true,
            sweep_interval: Some(Duration::from_secs(60)),
            sweep_batch: 1_000,
        }
    }
}

impl PostgresOptions {
    /// How many connections the store opens at most, when they are first needed; at least two. 8 unless set. As many again
    /// for as long as these don't get on for a quarter of a second, as where the threads of those who use them are blocked.
    /// Of no meaning with a pool of the user's.
    ///
    /// Few are enough: requests that wait for each other share a statement.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(2);
        self
    }

    /// Whether to send statements with their parameters in them, and not as prepared ones: behind a pooler that gives
    /// each transaction another connection (PgBouncer's `pool_mode = transaction`), where prepared statements get lost.
    /// False unless set.
    ///
    /// Still one round trip for each operation; the server plans each statement anew. `wait` then polls.
    pub fn simple_queries(mut self, simple: bool) -> Self {
        self.simple_queries = simple;
        self
    }

    /// Whether opening the store creates its tables where they are missing. True unless set.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// How often to look for rows that nobody needs any more; `None`: never, because something else calls
    /// [`IdempotencyAdmin::sweep`](crate::IdempotencyAdmin::sweep). Once a minute unless set.
    ///
    /// An expired row counts as absent whether or not it was swept.
    pub fn sweep_interval(mut self, interval: Option<Duration>) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// How many rows one statement of a sweep deletes at most; at least one. 1,000 unless set.
    pub fn sweep_batch(mut self, rows: usize) -> Self {
        self.sweep_batch = rows.max(1);
        self
    }

    /// Opens the store with connections of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the URL is wrong, where the server can't be reached, and where the tables can't be created
    /// or are not those of this version.
    pub async fn open(self, url: &str) -> Result<PostgresStore, Error> {
        // The driver's message is not shown: it can hold what the URL does, a password.
        let options: Option<PgConnectOptions> = url
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))
            .and_then(|_| url.parse().ok());
        let options = options.ok_or_else(|| {
            Error::config(
                "this is no URL of a PostgreSQL database: write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with \
                 special characters percent-encoded, and parameters that sqlx knows",
            )
        })?;
        // A pooler may refuse settings of its clients.
        let options = if self.simple_queries { options } else { options.options(SETTINGS) };
        // In this mode alone, the driver looks for the process's provider.
        if matches!(options.get_ssl_mode(), PgSslMode::VerifyCa) {
            tls::prepare();
        }
        let connections = Connections::own(options, self.max_connections, None);
        PostgresStore::start(connections, self).await
    }

    /// Opens the store with a pool of the user's, which checks its connections as it was told to.
    ///
    /// Give its connections a `lock_timeout` of a second or so: PostgreSQL has none by default, and a row that somebody's
    /// transaction keeps locked would hold up the others for as long.
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// use idem_runtime::PostgresStore;
    /// use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    ///
    /// let options: PgConnectOptions = "postgres://app@db.example/app".parse()?;
    /// let pool = PgPoolOptions::new().connect_with(options.options([("lock_timeout", "1s")])).await?;
    /// let store = PostgresStore::open_with(pool).await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// With [`simple_queries`](Self::simple_queries), the store sees to it by itself.
    ///
    /// sqlx logs the statements of a pool, at the level `debug` and slow ones at `warn`, and with `simple_queries` these
    /// hold keys and results: build its options with `ConnectOptions::disable_statement_logging`. To hear of endings, the
    /// store opens one connection beside the pool.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::open`].
    pub async fn open_with(self, pool: PgPool) -> Result<PostgresStore, Error> {
        PostgresStore::start(Connections::Pool(pool), self).await
    }
}
