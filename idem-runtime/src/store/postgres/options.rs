//! The options of a store.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::PostgresStore;
use super::session::Session;
use crate::error::Error;
use crate::store::table::{self, Table};
use crate::store::tls;
use crate::store::url::{self, Names};

/// The parameters of a URL. All but [`url::TABLE`] are sqlx's.
const PARAMETERS: &[Names] = &[
    &["sslmode", "ssl-mode"],
    &["sslrootcert", "ssl-root-cert", "ssl-ca"],
    &["sslcert", "ssl-cert"],
    &["sslkey", "ssl-key"],
    &["statement-cache-capacity"],
    &["host"],
    &["hostaddr"],
    &["port"],
    &["dbname"],
    &["user"],
    &["password"],
    &["application_name"],
    &["options"],
    &["options[]"],
    url::TABLE,
];

/// How to open a [`PostgresStore`]. [`PostgresStore::options`] makes it.
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
    table: String,
    pub(super) sweep_interval: Option<Duration>,
    pub(super) sweep_batch: usize,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            simple_queries: false,
            migrate: true,
            table: table::DEFAULT.to_owned(),
            sweep_interval: Some(Duration::from_secs(60)),
            sweep_batch: 1_000,
        }
    }
}

impl PostgresOptions {
    /// How many connections the store opens at most. It opens each one when it first needs it. At least 2. Default: 8.
    /// With a pool of yours, they come beside the pool's own. One more connection receives notifications of endings,
    /// from the first wait on.
    ///
    /// The store opens as many again while a request waits for a quarter of a second without getting one of the first.
    /// This happens, for example, if the threads of the tasks that use the connections are blocked.
    ///
    /// The store works with one connection. If the server has no room for another, the store shares those that it has,
    /// and tries to open more every five seconds. A store that has had only one connection since it was opened tries
    /// again after five seconds, then after ten, and so on up to once a minute.
    ///
    /// One is enough: where the server has no room for another, the store waits for those that it has, and asks for more
    /// every five seconds. A store that has had one alone since it was opened asks after five seconds, then after ten, and so
    /// on up to once a minute.
    ///
    /// A few connections are enough, because requests that wait for each other share a statement.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.max_connections = connections.max(2);
        self
    }

    /// Whether statements are sent with their parameters in the text, and not as prepared statements. Set it behind a
    /// pooler that gives each transaction another session (PgBouncer's `pool_mode = transaction`) and so mixes up
    /// prepared statements. Default: false; opening the store then checks for such a pooler.
    ///
    /// Each operation is still one round trip, but the server plans each statement anew. `wait` polls.
    pub fn simple_queries(mut self, simple: bool) -> Self {
        self.simple_queries = simple;
        self
    }

    /// Whether opening the store creates missing tables. Default: true.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// The name of the store's table: a lowercase letter, then lowercase letters, digits and `_`, at most 40 characters.
    /// Any other name is an error when the store is opened. Default: `idem_keys`. In a URL it is the parameter `table`,
    /// which takes precedence.
    ///
    /// Whatever else belongs to the table is named after it. Stores with different names share nothing, also in one
    /// database. Handlers in tx mode use the table of [`tx::use_table`](crate::tx::use_table).
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// How often the background looks for rows that are no longer needed. Default: one minute. `None`: never, because
    /// something else calls [`IdempotencyAdmin::sweep`](crate::IdempotencyAdmin::sweep).
    ///
    /// An expired row counts as absent, swept or not.
    pub fn sweep_interval(mut self, interval: Option<Duration>) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// How many rows one statement of a sweep deletes at most. At least 1. Default: 1,000.
    pub fn sweep_batch(mut self, rows: usize) -> Self {
        self.sweep_batch = rows.max(1);
        self
    }

    /// For an operator, who may have only the right to read: nothing is created, nothing is swept in the background,
    /// and any pooler works.
    pub(crate) fn for_operator(self) -> Self {
        self.migrate(false).sweep_interval(None).simple_queries(true)
    }

    /// Opens the store with connections of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the URL is wrong, or has an unknown or repeated parameter; if the table can't have this
    /// name; if the server can't be reached; if the tables can't be created, are those of another version or someone
    /// else's, or still have the name of an earlier version; and if a pooler gives each transaction another session and
    /// [`simple_queries`](Self::simple_queries) isn't set. The store checks whose tables they are before it changes
    /// anything.
    pub async fn open(self, url: &str) -> Result<PostgresStore, Error> {
        let (table, options) = Self::read(url)?;
        let table = table.map_or_else(|| Table::new(&self.table), Ok)?;
        // Only in this mode does the driver use the process's provider of cryptography.
        if matches!(options.get_ssl_mode(), PgSslMode::VerifyCa) {
            tls::prepare();
        }
        let session = Session::new(move || options.clone(), self.max_connections, self.simple_queries, table);
        PostgresStore::start(session, self).await
    }

    /// What a URL says about the table and a connection.
    pub(crate) fn read(url: &str) -> Result<(Option<Table>, PgConnectOptions), Error> {
        // Checked here first, because the driver ignores a parameter that it doesn't know, and logs its value.
        let (table, url) = url::table(url, PARAMETERS)?;
        // The driver's message is not shown: it can contain the URL's password.
        let options: Option<PgConnectOptions> = url
            .split_once("://")
            .filter(|(scheme, _)| matches!(*scheme, "postgres" | "postgresql"))
            .and_then(|_| url.parse().ok());
        options.map(|options| (table, options)).ok_or_else(|| {
            Error::config(
                "this is no URL of a PostgreSQL database: write `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with \
                 special characters percent-encoded",
            )
        })
    }

    /// Opens the store in the database of a pool of yours.
    ///
    /// The store doesn't use the pool's connections: handlers may hold all of them, and one may be in an open
    /// transaction. It opens up to [`max_connections`](Self::max_connections) of its own, with the pool's connect
    /// options. It reads these options anew for each connection, so it uses a new password after `set_connect_options`.
    /// The pool's hooks `after_connect` and `before_acquire` don't run for these connections. The store still works
    /// after the pool is closed.
    ///
    /// The store keeps a handle of the pool to read its connect options. So a pool whose other handles are dropped
    /// lives, with its connections, until the store ends. To end the pool earlier, call its `close()`.
    ///
    /// Opening the store sends one query through the pool, for `current_database()`, `current_schema()` and
    /// `current_user`. They have to be the same as on the store's own connections. The store waits for a connection of
    /// the pool for ten seconds at most, or for the pool's `acquire_timeout` if that is less. Set a `search_path` in
    /// the connect options:
    ///
    /// ```no_run
    /// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
    /// use idem_runtime::PostgresStore;
    /// use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    ///
    /// let options: PgConnectOptions = "postgres://app@db.example/app".parse()?;
    /// let pool = PgPoolOptions::new().connect_with(options.options([("search_path", "shop")])).await?;
    /// let store = PostgresStore::open_with(pool).await?;
    /// # let _ = store;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::open`], and [`Error::Config`] if the pool gives no connection, or if its connections
    /// use another database, schema or user than its connect options.
    pub async fn open_with(self, pool: PgPool) -> Result<PostgresStore, Error> {
        let table = Table::new(&self.table)?;
        PostgresStore::start(Session::beside(pool, self.max_connections, self.simple_queries, table).await?, self).await
    }
}
