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
use crate::error::Error;
use crate::protocol::State;
use crate::store::notifiers::Notifiers;
use crate::store::numbers::{integer, interval, purge_window};
use crate::store::sql::{Claiming, Completing, Failure, Lanes, Sweep, Sweeping, Swept, keep_swept, submit};
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
/// What PostgreSQL promises of a commit: with `synchronous_commit = on`, the default, a completion is on the server's disk
/// before it is acknowledged, and neither `kill -9` nor a power loss takes it back. A failover to an asynchronous standby
/// can lose the last commits: a completion that is lost lets its handler run again. A synchronous standby
/// (`synchronous_standby_names`) closes that gap.
///
/// Leases hold within what the server's clock steps ahead: a clock that is set ahead, or a promoted standby's that is ahead of its
/// primary's, ends them early by as much, and a key is then granted to a second caller while its holder runs. Slew the
/// clocks, don't step them (chrony: `makestep` for the first updates after a start alone). A clock that is set back makes
/// leases and ttls longer by as much, and fences grow all the same. [`Stats`](crate::admin::Stats) tells how far the server's
/// clock is off.
///
/// # What it costs
///
/// A claim, a completion, a renewal and a release are one statement each, in one round trip and one commit. A duplicate
/// writes nothing, and so waits for no disk. Requests that have to wait for others, 64 concurrent handlers say, share one
/// statement and one commit; a lone request never waits for company. A completion leaves the indexes alone wherever it
/// can (a heap-only update).
///
/// # What it does
///
/// Its tables, `idempotency` and `idempotency_schema`, are in the first schema of the connection's `search_path` that has
/// them. Opening the store creates them; `idem-runtime/src/store/postgres/schema.sql` does so by hand. The view
/// `idempotency_stuck`, which shows an operator the keys that nobody is working on, is created beside the table (`stuck.sql`);
/// where the user may not do that, a warning says so. Time is the server's. It works at READ COMMITTED, whatever the server's default is, and leaves nothing in the session but prepared
/// statements.
///
/// A waiter is told of an ending by `NOTIFY`, for which the store opens one more connection when someone first waits; it
/// looks for itself once a second, and every 50 to 250 ms where it isn't told.
///
/// Expired rows are swept in the background, in bounded statements that skip what others hold, with pauses in between;
/// several processes may. While somebody's transaction is open, the server keeps what it might look at, and the table grows
/// by what is deleted and inserted; the sweep goes on at its pace.
///
/// Keys are binary-safe and case-sensitive. A scope is a text of the database's encoding, at most 1,024 bytes long and
/// without NUL. A record can have 16 MiB.
///
/// # What it needs
///
/// PostgreSQL 12 or later, for `AS MATERIALIZED` and `plan_cache_mode`; tested is 15.
///
/// A user with SELECT, INSERT, UPDATE and DELETE on `idempotency` and SELECT on `idempotency_schema`. To create them, when
/// the store is opened or by [`migrate`](Self::migrate), also CREATE on their schema, which PostgreSQL 15 no longer gives
/// everyone on `public`; not where an administrator has run schema.sql and stuck.sql. An operator who only looks
/// ([`admin::connect`](crate::admin::connect)) needs SELECT on both tables, or on the view.
///
/// # Behind a pooler
///
/// A pooler that gives each transaction another session, as PgBouncer does with `pool_mode = transaction`, mixes up prepared
/// statements: queries fail, or succeed with another query's answer. Opening the store looks for such a pooler, and refuses
/// it with an [`Error::Config`]. Two connections are asked for their `pg_backend_pid()` in turn, three times each; 16 times
/// where a pooler didn't pass on what the store sets for its session. Where the server has room for one connection only, that
/// one is asked alone, and both are once there is another; if such a pooler is found then, every call fails.
///
/// - Such a pooler needs [`PostgresOptions::simple_queries`]. Waiters then aren't told of endings.
/// - One in session mode needs `ignore_startup_parameters = extra_float_digits,options`. It doesn't pass on what the store
///   sets: give its role a `lock_timeout` of a second, `plan_cache_mode = force_generic_plan` and `enable_seqscan = off` by
///   `ALTER ROLE … SET`.
/// - One that keeps prepared statements in transaction mode, as PgBouncer does from 1.21 on with `max_prepared_statements`,
///   needs the same. The store finds that each connection gets its own answers. Waiters aren't told of endings.
///
/// Tested is PgBouncer 1.18 in both modes; by hand 1.24, with `max_prepared_statements` and without.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

/// What the handles of a store share.
struct Inner {
    session: Session,
    /// Claims that take orphans, and those that leave them: one statement has one way.
    taking: Lanes<Claiming, ClaimAnswer>,
    refusing: Lanes<Claiming, ClaimAnswer>,
    completing: Lanes<Completing, Standing>,
    notifiers: Arc<Notifiers>,
    /// `None` where a pooler stands between the store and its session.
    listener: Option<Listener>,
    sweeping: Sweeping,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL can hold a password.
        f.write_str("PostgresStore")
    }
}

impl PostgresStore {
    /// Opens the store in this database, as `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`, with
    /// connections of its own. sqlx's `PgConnectOptions` says what else a URL can hold.
    ///
    /// TLS needs the feature `tls`. `sslmode=require` asks for it, and trusts any certificate. `sslmode=verify-full` checks
    /// the certificate and the host's name in it, by the system's roots and those in the file of `sslrootcert=FILE`. Without
    /// an `sslmode`, a server that offers no TLS is spoken to in the open.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::open`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::options().open(url).await
    }

    /// Opens the store where a pool of the user's leads, with connections of its own: up to eight beside the pool's.
    /// [`PostgresOptions::open_with`] says what the pool is asked.
    ///
    /// # Errors
    ///
    /// Those of [`PostgresOptions::open_with`].
    pub async fn open_with(pool: PgPool) -> Result<Self, Error> {
        Self::options().open_with(pool).await
    }

    /// To open a store with other settings than the default ones.
    pub fn options() -> PostgresOptions {
        PostgresOptions::default()
    }

    /// Creates the tables where they are missing, and the view: for a deployment in which the application itself may not. Safe from
    /// any number of processes at once. It opens a connection of its own, as [`PostgresOptions::open_with`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the server refuses, and what [`PostgresOptions::open_with`] says of the pool.
    pub async fn migrate(pool: PgPool) -> Result<(), Error> {
        migrate::create(&Session::beside(pool, 1, true).await?).await
    }

    async fn start(session: Session, options: PostgresOptions) -> Result<Self, Error> {
        if options.migrate {
            migrate::create(&session).await?;
        }
        migrate::check(&session).await?;
        let inner = Arc::new(Inner {
            listener: (!options.simple_queries).then(|| Listener::new(session.connections.clone())),
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

    /// Sends a statement that ends a holder's time with the key, and answers a row where it was held.
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

    /// Tells `Gone` from `Lost`, with one more read. Where that fails, `Lost` stays right.
    async fn or_gone(&self, standing: Standing, scope: &str, key: &Key) -> Standing {
        if standing == Standing::Held {
            return standing;
        }
        let params = [Param::Text(scope), Param::Bytes(Some(key.as_bytes()))];
        match self.0.session.fetch(&statements::KNOWN, &params).await {
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
        let rows = self.0.session.fetch(&statements::RENEW, &params).await.map_err(Failure::into_error::<Postgres>)?;
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
        let standing = self.standing(request.scope, request.key, &statements::LEAVE, &params).await?;
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    /// Returns where the key's ending is heard of, from this process or from another by `NOTIFY`; after 50 to 250 ms,
    /// longer with each round, where another process can't be heard, and after a second in any case. One round trip, and
    /// one commit for the first who waits for a key.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 4] = [50, 100, 200, 250];
        const HEARING: Duration = Duration::from_secs(1);
        let hears = self.0.listener.as_ref().is_some_and(|listener| listener.hears(&self.0.notifiers));
        let round = usize::try_from(request.round).unwrap_or(usize::MAX);
        let poll = if hears { HEARING } else { Duration::from_millis(POLL[round.min(POLL.len() - 1)]) };
        let deadline = Instant::now() + poll.min(request.at_most);
        // Listening before looking: or an ending in between is heard by nobody.
        let mut notified = pin!(self.0.notifiers.of(request.scope, request.key).notified());
        notified.as_mut().enable();
        let params = [Param::Text(request.scope), Param::Bytes(Some(request.key.as_bytes()))];
        let rows = self.0.session.fetch(&statements::AWAIT, &params).await.map_err(Failure::into_error::<Postgres>)?;
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
        self.standing(request.scope, request.key, &statements::LEAVE_UNRUN, &params).await?;
        // No row: it has left before.
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
        let found = self.session.fetch(&statements::SWEEP, &params).await?;
        let Some(swept) = found.first() else { return Err(Failure::Unexpected("a sweep has no row")) };
        let rows: i64 = swept.try_get(0)?;
        Ok(Swept { rows: usize::try_from(rows).unwrap_or(0), reached: swept.try_get(1)? })
    }
}
