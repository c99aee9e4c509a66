//! The PostgreSQL store: one table, in the user's database.

mod admin;
mod claims;
mod completions;
mod dialect;
mod listener;
mod migrate;
mod options;
mod params;
pub(crate) mod pooler;
mod rows;
mod session;
mod statements;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{PgPool, Row as _};

use self::claims::Claims;
use self::completions::Completions;
use self::dialect::Postgres;
use self::listener::Listener;
pub use self::options::PostgresOptions;
use self::params::Param;
use self::session::Session;
use self::statements::Statements;
use crate::error::Error;
use crate::protocol::State;
use crate::store::notifiers::Notifiers;
use crate::store::numbers::{integer, interval, purge_window};
use crate::store::sql::{Claiming, Completing, Failure, Lanes, Sweep, Sweeping, Swept, keep_swept, submit};
use crate::store::table::Table;
use crate::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, IdempotencyStore, Key, Leave, Orphans,
    ReleaseRequest, RenewRequest, Standing, StoreError, WaitRequest,
};
use crate::task::timer;

/// A store in a PostgreSQL database, for any number of processes and machines.
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::PostgresStore;
///
/// idem_runtime::install(PostgresStore::open("postgres://app:secret@db.example/app").await?)?;
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// The durability of a PostgreSQL commit. With `synchronous_commit = on`, the default, a completion is on the server's
/// disk before it is acknowledged, so it survives `kill -9` and a power loss. A failover to an asynchronous standby can
/// lose the last commits, and the handler of a lost completion runs again. A synchronous standby
/// (`synchronous_standby_names`) prevents that.
///
/// A lease ends early by as much as the server's clock steps ahead. This also happens when a standby is promoted whose
/// clock is ahead of its primary's. A key is then granted to a second caller while its holder runs. Slew the clocks,
/// don't step them. chrony's `makestep` should step them only in the first updates after a start.
///
/// If the clock is set back, leases and ttls last longer by as much. Fences still grow. [`Stats`](crate::admin::Stats)
/// tells how far the server's clock is off.
///
/// # What it costs
///
/// A claim, a completion, a renewal and a release are one statement each, in one round trip and one commit. A duplicate
/// writes nothing, so it waits for no disk. Requests that have to wait for other requests, as with 64 concurrent
/// handlers, share one statement and one commit. A lone request is sent at once.
///
/// Completions with results of up to 64 bytes change no index (a heap-only update). For that, claims fill a page of the
/// table to 40 % only. A row with such a result takes 340 bytes of the table if keys are claimed in batches, and 750 bytes
/// if they are claimed one by one.
///
/// # What it does
///
/// The tables are `idem_keys` and `idem_keys_schema`, in the first schema of the connection's `search_path` that has
/// them. Opening the store creates them; `idem-runtime/src/store/postgres/schema.sql` does so by hand. Beside them it
/// creates the view `idem_keys_stuck`, which shows an operator the keys whose last call never said how it ended
/// (`stuck.sql`). If the user has no right to create the view, the store logs a warning.
///
/// [`PostgresOptions::table`] gives the table another name. Whatever else belongs to the table is named after it: also
/// the index, the channel of the notifications, and the advisory lock under which it is created.
///
/// Time is the server's. The store works at READ COMMITTED, whatever the server's default is. It leaves nothing in a
/// session but prepared statements.
///
/// A waiter is notified of an ending by `NOTIFY`. The store opens one more connection for that when the first caller
/// waits. A waiter also looks by itself: once a second, or every 50 to 250 ms while it can't be notified.
///
/// The store sweeps expired rows in the background, in statements of bounded size with pauses in between. They skip
/// rows that others have locked. Several processes may sweep at the same time. While a transaction is open that may
/// still read deleted rows, the server keeps them, and the table grows with each insert and delete; the sweep doesn't
/// become slower.
///
/// Keys are binary-safe and case-sensitive. A scope is a text of the database's encoding, at most 1,024 bytes long and
/// without NUL. A record can have up to 16 MiB.
///
/// # What it needs
///
/// PostgreSQL 12 or later, for `AS MATERIALIZED` and `plan_cache_mode`. Tested with PostgreSQL 15.
///
/// A user with SELECT, INSERT, UPDATE and DELETE on `idem_keys` and SELECT on `idem_keys_schema`.
///
/// To create the tables, when the store is opened or by [`migrate`](Self::migrate), the user also needs CREATE on their
/// schema. Since PostgreSQL 15, not every user has that right on `public`. The user doesn't need it if an administrator
/// has run schema.sql and stuck.sql.
///
/// An operator who only reads ([`admin::connect`](crate::admin::connect)) needs SELECT on both tables, or on the view.
///
/// # Behind a pooler
///
/// A pooler that gives each transaction another session, as PgBouncer does with `pool_mode = transaction`, mixes up
/// prepared statements: a query fails, or gets the answer of another query.
///
/// Opening the store checks for such a pooler, and fails with [`Error::Config`] if it finds one. The store asks two
/// connections in turn for their `pg_backend_pid()`, three times each, or 16 times each if a pooler didn't pass on the
/// settings of the store's session. If the server has room for only one connection, the store checks that one alone,
/// and checks two as soon as it gets a second one. If it finds such a pooler then, every call fails.
///
/// - Such a pooler needs [`PostgresOptions::simple_queries`]. Waiters then aren't notified of endings.
/// - A pooler in session mode needs `ignore_startup_parameters = extra_float_digits,options`. It doesn't pass on the
///   store's settings, so give the store's role a `lock_timeout` of a second, `plan_cache_mode = force_generic_plan`
///   and `enable_seqscan = off` by `ALTER ROLE … SET`.
/// - A pooler that tracks prepared statements in transaction mode, as PgBouncer does since 1.21 with
///   `max_prepared_statements`, needs the same settings. The store finds out that each connection gets its own answers.
///   Waiters aren't notified of endings.
///
/// Tested with PgBouncer 1.18 in both modes; by hand with 1.24, with `max_prepared_statements` and without.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

/// What the handles of a store share.
struct Inner {
    session: Session,
    statements: Statements,
    /// Claims that take orphans over. They don't share a statement with the claims that refuse orphans.
    taking: Lanes<Claiming, ClaimAnswer>,
    refusing: Lanes<Claiming, ClaimAnswer>,
    completing: Lanes<Completing, Standing>,
    notifiers: Arc<Notifiers>,
    /// `None` behind a pooler, where the store has no session of its own.
    listener: Option<Listener>,
    sweeping: Sweeping,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL can contain a password, so it isn't shown.
        f.write_str("PostgresStore")
    }
}

impl PostgresStore {
    /// Opens the store in this database, with connections of its own. The URL is
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`, for example. sqlx's `PgConnectOptions` documents
    /// its other parameters.
    ///
    /// TLS needs the feature `tls`. With `sslmode=require` the connection uses TLS and accepts any certificate. With
    /// `sslmode=verify-full` it checks the certificate and the host name in it, against the system's root certificates
    /// and those in the file of `sslrootcert=FILE`. Without `sslmode`, the connection to a server that offers no TLS is
    /// not encrypted.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::open`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::options().open(url).await
    }

    /// Opens the store in the database of a pool of yours. The store opens up to eight connections of its own beside
    /// the pool's. [`PostgresOptions::open_with`] says what it uses the pool for.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::open_with`].
    pub async fn open_with(pool: PgPool) -> Result<Self, Error> {
        Self::options().open_with(pool).await
    }

    /// The options of a store, to open it with settings other than the default ones.
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// Creates the tables and the view if they are missing, with their default names. Use it in a deployment in which
    /// the application has no right to create them. Any number of processes may call it at once. It opens a connection
    /// of its own, as [`PostgresOptions::open_with`] does. For tables of another name,
    /// [`tx::schema_named`](crate::tx::schema_named) returns the SQL.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the server refuses, and the errors of [`PostgresOptions::open_with`] that concern the pool.
    pub async fn migrate(pool: PgPool) -> Result<(), Error> {
        migrate::create(&Session::beside(pool, 1, true, Table::default()).await?).await
    }

    async fn start(session: Session, options: PostgresOptions) -> Result<Self, Error> {
        if options.migrate {
            migrate::create(&session).await?;
        }
        migrate::check(&session).await?;
        let inner = Arc::new(Inner {
            listener: (!options.simple_queries)
                .then(|| Listener::new(session.connections.clone(), session.table.clone())),
            statements: Statements::new(&session.table),
            session,
            taking: Lanes::default(),
            refusing: Lanes::default(),
            completing: Lanes::default(),
            notifiers: Notifiers::new(),
            sweeping: Sweeping::new(options.sweep_batch),
        });
        if let Some(interval) = options.sweep_interval {
            keep_swept(&inner, interval);
        }
        Ok(Self(inner))
    }

    /// Sends a statement that ends a holder's claim. The statement returns a row if the holder still held the key.
    async fn standing(
        &self,
        scope: &str,
        key: &Key,
        sql: &Arc<str>,
        params: &[Param<'_>],
    ) -> Result<Standing, StoreError> {
        let rows = self.0.session.fetch(sql, params).await.map_err(Failure::into_error::<Postgres>)?;
        self.0.notifiers.notify(scope, key);
        Ok(if rows.is_empty() { Standing::Lost } else { Standing::Held })
    }

    /// Reads the key once more to tell `Gone` from `Lost`. If that read fails, the answer stays `Lost`, which is still
    /// true.
    async fn or_gone(&self, standing: Standing, scope: &str, key: &Key) -> Standing {
        if standing == Standing::Held {
            return standing;
        }
        let params = [Param::Text(scope), Param::Bytes(Some(key.as_bytes()))];
        match self.0.session.fetch(&self.0.statements.known, &params).await {
            Ok(rows) if rows.is_empty() => Standing::Gone,
            _ => standing,
        }
    }
}

impl IdempotencyStore for PostgresStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        Failure::check_scope(request.scope).map_err(Failure::into_error::<Postgres>)?;
        match request.orphans {
            Orphans::Take => submit(&Claims::<true>(self.0.clone()), request.into()).await,
            Orphans::Refuse => submit(&Claims::<false>(self.0.clone()), request.into()).await,
        }
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        let (least, most) = request.stays().map(purge_window).unzip();
        let params = [
            Param::Text(request.scope),
            Param::Bytes(Some(request.key.as_bytes())),
            Param::Bytes(Some(&request.owner.0)),
            Param::Integer(Some(integer(request.fence))),
            Param::Integer(Some(interval(request.lease))),
            Param::Integer(least),
            Param::Integer(most),
        ];
        let rows =
            self.0.session.fetch(&self.0.statements.renew, &params).await.map_err(Failure::into_error::<Postgres>)?;
        let standing = if rows.is_empty() { Standing::Lost } else { Standing::Held };
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        let standing = submit(&Completions(self.0.clone()), request.into()).await?;
        self.0.notifiers.notify(request.scope, request.key);
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        let state = match request.how {
            Leave::Failed => State::Free,
            Leave::OutcomeUnknown => State::Unknown,
            Leave::Keep => State::Kept,
            Leave::NotRun => return self.leaves_unrun(request).await,
        };
        let params = [
            Param::Text(request.scope),
            Param::Bytes(Some(request.key.as_bytes())),
            Param::Bytes(Some(&request.owner.0)),
            Param::Integer(Some(integer(request.fence))),
            Param::Integer(Some((state as u8).into())),
            Param::Integer(Some(interval(request.retain.max(request.linger)))),
        ];
        let standing = self.standing(request.scope, request.key, &self.0.statements.leave, &params).await?;
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    /// Returns when this process ends the key, or when another process does and `NOTIFY` reports it. While `NOTIFY`
    /// doesn't work, it returns after 50 to 250 ms, longer with each round; otherwise after a second at the latest. One
    /// round trip, and one commit for the first waiter of a key.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 4] = [50, 100, 200, 250];
        const HEARING: Duration = Duration::from_secs(1);
        let hears = self.0.listener.as_ref().is_some_and(|listener| listener.hears(&self.0.notifiers));
        let round = usize::try_from(request.round).unwrap_or(usize::MAX);
        let poll = if hears { HEARING } else { Duration::from_millis(POLL[round.min(POLL.len() - 1)]) };
        let deadline = Instant::now() + poll.min(request.at_most);
        // Listen before looking: otherwise an ending between the two would be missed.
        let mut notified = pin!(self.0.notifiers.of(request.scope, request.key).notified());
        notified.as_mut().enable();
        let params = [Param::Text(request.scope), Param::Bytes(Some(request.key.as_bytes()))];
        let rows = self
            .0
            .session
            .fetch(&self.0.statements.await_ending, &params)
            .await
            .map_err(Failure::into_error::<Postgres>)?;
        if let Some(row) = rows.first() {
            let left: i64 = row.try_get(0).map_err(|error| Failure::from(error).into_error::<Postgres>())?;
            let left = Duration::from_micros(left.try_into().unwrap_or(0));
            timer::within(|| left.min(deadline.saturating_duration_since(Instant::now())), notified).await;
        }
        Ok(())
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}

impl PostgresStore {
    async fn leaves_unrun(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        let params = [
            Param::Text(request.scope),
            Param::Bytes(Some(request.key.as_bytes())),
            Param::Bytes(Some(&request.owner.0)),
            Param::Integer(Some(interval(request.retain))),
            Param::Integer(Some(interval(request.linger))),
        ];
        Failure::check_scope(request.scope).map_err(Failure::into_error::<Postgres>)?;
        self.standing(request.scope, request.key, &self.0.statements.leave_unrun, &params).await?;
        // Without a row, the key was released before.
        Ok(Standing::Held)
    }
}

impl Sweep for Inner {
    type Dialect = Postgres;

    fn sweeping(&self) -> &Sweeping {
        &self.sweeping
    }

    async fn sweep(&self, at_most: usize, from: i64) -> Result<Swept, Failure> {
        let params = [Param::Integer(Some(integer(at_most as u64))), Param::Integer(Some(from))];
        let found = self.session.fetch(&self.statements.sweep, &params).await?;
        let Some(swept) = found.first() else { return Err(Failure::Unexpected("a sweep has no row")) };
        let rows: i64 = swept.try_get(0)?;
        Ok(Swept { rows: usize::try_from(rows).unwrap_or(0), reached: swept.try_get(1)? })
    }
}
