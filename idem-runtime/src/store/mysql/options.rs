//! How a store is opened.

use std::time::Duration;

use sqlx::MySqlPool;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::{MySqlStore, session};
use crate::error::Error;
use crate::store::sql::Connections;
use crate::store::tls;

/// How to open a [`MySqlStore`]: made by [`MySqlStore::options`].
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::MySqlStore;
///
/// let store = MySqlStore::options().max_connections(16).open("mysql://app@db.example/app").await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options open nothing until `open` is called"]
pub struct MySqlOptions {
    pub(super) max_connections: usize,
    pub(super) migrate: bool,
    pub(super) sweep_interval: Option<Duration>,
    pub(super) sweep_batch: usize,
}

impl Default for MySqlOptions {
    fn default() -> Self {
        Self { max_connections: 8, migrate: true, sweep_interval: Some(Duration::from_secs(60)), sweep_batch: 1_000 }
    }
}

impl MySqlOptions {
    /// How many connections the store opens at most, when they are first needed; at least two. 8 unless set. As many again
    /// for as long as these don't get on for a quarter of a second, as where the threads of those who use them are blocked.
    /// Of no meaning with a pool of the user's.
    ///
    /// Few are enough: requests that wait for each other share a commit.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(2);
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

    /// How many rows one transaction of a sweep deletes at most; at least one. 1,000 unless set.
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
    pub async fn open(self, url: &str) -> Result<MySqlStore, Error> {
        // The driver's message is not shown: it can hold what the URL does, a password.
        let options: Option<MySqlConnectOptions> = url
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "mysql" | "mariadb"))
            .and_then(|_| url.parse().ok());
        let options = options.ok_or_else(|| {
            Error::config(
                "this is no URL of a MySQL or MariaDB database: write `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, with \
                 special characters percent-encoded",
            )
        })?;
        // In this mode alone, the driver looks for the process's provider.
        if matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa) {
            tls::prepare();
        }
        let connections = Connections::own(options, self.max_connections, Some(session::prepare));
        MySqlStore::start(connections, self).await
    }

    /// Opens the store with a pool of the user's, which checks its connections as it was told to.
    ///
    /// sqlx logs the statements of a pool, at the level `debug` and slow ones at `warn`, and these hold keys and results:
    /// build its options with `ConnectOptions::disable_statement_logging`.
    ///
    /// # Errors
    ///
    /// Those of [`MySqlOptions::open`].
    pub async fn open_with(self, pool: MySqlPool) -> Result<MySqlStore, Error> {
        MySqlStore::start(Connections::Pool(pool), self).await
    }
}
