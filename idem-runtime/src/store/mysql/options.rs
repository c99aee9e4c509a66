//! How a store is opened.

use std::time::Duration;

use sqlx::MySqlPool;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use super::{MySqlStore, session};
use crate::error::Error;
use crate::store::tls;
use crate::store::url::{self, Names};

/// What sqlx reads in a URL.
const PARAMETERS: &[Names] = &[
    &["ssl-mode", "sslmode"],
    &["ssl-ca", "sslca"],
    &["ssl-cert", "sslcert"],
    &["ssl-key", "sslkey"],
    &["charset"],
    &["collation"],
    &["statement-cache-capacity"],
    &["socket"],
    &["time-zone", "timezone"],
];

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
    /// With a pool of the user's these come beside the pool's own.
    ///
    /// One is enough: where the server has no room for another, the store waits for those that it has, and asks for more
    /// every five seconds.
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

    /// For an operator, who may only read: nothing is made and nothing is swept.
    pub(crate) fn for_operator(self) -> Self {
        self.migrate(false).sweep_interval(None)
    }

    /// Opens the store with connections of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the URL is wrong, or has an unknown or repeated parameter, where the server can't be reached, and where the tables can't be created
    /// or are not those of this version.
    pub async fn open(self, url: &str) -> Result<MySqlStore, Error> {
        // Before the driver, which passes over what it doesn't know.
        url::parameters(url::query(url), PARAMETERS)?;
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
        MySqlStore::start(session::connections(move || options.clone(), self.max_connections), self).await
    }

    /// Opens the store where a pool of the user's leads.
    ///
    /// The store uses none of the pool's connections: handlers may hold them all, and one may be left in a transaction. It
    /// opens up to [`max_connections`](Self::max_connections) of its own beside them, with the pool's connect options, which
    /// it asks for anew for each connection: a password that `set_connect_options` was told is used from then on. The
    /// pool's hooks, `after_connect` and `before_acquire`, don't run for these. The store goes on where the pool is closed.
    ///
    /// The store keeps a handle of the pool for its connect options. A pool whose other handles are dropped therefore ends
    /// with the store, and its connections with it: call `close()` to end it before.
    ///
    /// One connection of the pool is asked once for `DATABASE()` and `CURRENT_USER()`, which have to be those of the store's
    /// own connections. It is waited for for ten seconds at most, and for less where the pool's `acquire_timeout` is less.
    ///
    /// # Errors
    ///
    /// Those of [`MySqlOptions::open`], and [`Error::Config`] where the pool gives no connection, and where its connections
    /// lead to another database or user than its connect options.
    pub async fn open_with(self, pool: MySqlPool) -> Result<MySqlStore, Error> {
        MySqlStore::start(session::beside(pool, self.max_connections).await?, self).await
    }
}
