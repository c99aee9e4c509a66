//! The MySQL and MariaDB store: one table, in the user's database.

mod admin;
mod claims;
mod completions;
mod dialect;
mod literal;
mod migrate;
mod options;
mod rows;
mod session;
mod statements;
mod sweep;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{MySqlPool, Row as _};

use self::claims::Claims;
use self::completions::Completions;
use self::dialect::MySql;
pub use self::options::MySqlOptions;
use self::session::Session;
use crate::error::Error;
use crate::store::notifiers::Notifiers;
use crate::store::sql::{Claiming, Completing, Connections, Failure, Lanes, Placed, Sweeping, keep_swept, submit};
use crate::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, IdempotencyStore, Key, Leave, ReleaseRequest,
    RenewRequest, Standing, StoreError, WaitRequest,
};
use crate::task::timer;

/// A store in a MySQL or MariaDB database, for any number of processes and machines.
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::MySqlStore;
///
/// idem_runtime::install(MySqlStore::open("mysql://app:secret@db.example/app").await?)?;
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// What InnoDB promises of a commit. With `innodb_flush_log_at_trx_commit = 1`, the default, a completion is on the server's
/// disk before it is acknowledged, and neither `kill -9` nor a power loss takes it back. With 2 (or 0), a power loss takes
/// back about the last second (with 0, so does `kill -9`): a completion that is lost lets its handler run again. With a
/// binary log, `sync_binlog = 1` belongs to it.
///
/// Without a binary log, as MariaDB comes, InnoDB shows a commit to others a moment before it is on the disk: a duplicate can
/// be answered with a completion that is lost if the server dies in that moment
/// (<https://bugs.mysql.com/bug.php?id=74303>). Opening the store warns of it; `log_bin` with `sync_binlog = 1`, MySQL's
/// default, closes it.
///
/// A failover to an asynchronous replica loses the commits that had not arrived there. Semi-synchronous replication
/// (`rpl_semi_sync_master_wait_point = AFTER_SYNC`) closes that gap, until it times out and goes on without.
///
/// Leases hold within what the server's clock steps ahead: a clock that is set ahead, or a promoted replica's that is ahead of its
/// primary's, ends them early by as much, and a key is then granted to a second caller while its holder runs. Slew the
/// clocks, don't step them (chrony: `makestep` for the first updates after a start alone). A clock that is set back makes
/// leases and ttls longer by as much, and fences grow all the same. [`Stats`](crate::admin::Stats) tells how far the server's
/// clock is off.
///
/// # What it costs
///
/// A claim, a completion, a renewal and a release are one round trip and one commit each, with one sync; a claim is a few
/// statements that are sent together. A duplicate takes no lock and writes nothing, and so waits for no disk. Requests that
/// have to wait for others, 64 concurrent handlers say, share one round trip and one commit (claims two of each, where some
/// of their keys are to be taken over); a lone request never waits for company. A completion leaves the secondary index
/// alone wherever it can.
///
/// # What it does
///
/// Its tables, `idempotency` and `idempotency_schema`, are in the URL's database. Opening the store creates them;
/// `idem-runtime/src/store/mysql/schema.sql` does so by hand. The view `idempotency_stuck`, which shows an operator the keys that
/// nobody is working on, is created beside them (`stuck.sql`); where the user may not do that, a warning says so. Time is the
/// server's. It works at READ COMMITTED, whatever
/// the server's default is, and so with a `binlog_format` of ROW or MIXED. Values are sent within the statements, as numbers
/// and hexadecimal digits.
///
/// MySQL tells nobody of an ending: a waiter hears at once of those in its own process, and looks for others every 50 to
/// 250 ms.
///
/// Expired rows are swept in the background, in bounded transactions that skip what others hold, with pauses in between;
/// several processes may. While somebody's read view is open, the server keeps what it might look at, and the file grows by
/// what is deleted and inserted; the sweep goes on at its pace.
///
/// Keys and scopes are binary-safe and case-sensitive, whatever the database's collation. A scope is at most 1,024 bytes
/// long. A record can have 16 MiB, or nearly half of the server's `max_allowed_packet` where that is less.
///
/// # What it needs
///
/// MariaDB 10.6 or MySQL 8.0, for `SKIP LOCKED`, with InnoDB pages of 16 KiB or more; tested is MariaDB 10.11, and no MySQL
/// yet.
///
/// A user with SELECT, INSERT, UPDATE and DELETE on `idempotency` and SELECT on `idempotency_schema`. To create them, when
/// the store is opened or by [`migrate`](Self::migrate), also CREATE on the database and INSERT on `idempotency_schema`; not
/// where an administrator has run schema.sql. To create the view, also CREATE VIEW and DROP; where an administrator has run
/// stuck.sql, SELECT on the view, without which the server doesn't tell that it is there. An operator who only looks
/// ([`admin::connect`](crate::admin::connect)) needs SELECT on both tables, and on the view to read that.
#[derive(Clone)]
pub struct MySqlStore(Arc<Inner>);

/// What the handles of a store share.
struct Inner {
    session: Session,
    claiming: Lanes<Claiming, ClaimAnswer>,
    completing: Lanes<Completing, Standing>,
    notifiers: Arc<Notifiers>,
    sweeping: Sweeping,
    /// The longest that the server takes in one round trip, in bytes.
    longest_script: usize,
}

impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL can hold a password.
        f.write_str("MySqlStore")
    }
}

impl MySqlStore {
    /// Opens the store in this database, as `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=REQUIRED` or `mariadb://…`,
    /// with connections of its own. sqlx's `MySqlConnectOptions` says what else a URL can hold.
    ///
    /// TLS needs the feature `tls`. `ssl-mode=REQUIRED` asks for it, and trusts any certificate. `ssl-mode=VERIFY_IDENTITY`
    /// checks the certificate and the host's name in it, by the system's roots and those in the file of `ssl-ca=FILE`.
    /// Without an `ssl-mode`, a server that offers no TLS is spoken to in the open; MySQL then takes no password of its usual
    /// kind, `caching_sha2_password`.
    ///
    /// # Errors
    ///
    /// Those of [`MySqlOptions::open`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::options().open(url).await
    }

    /// Opens the store where a pool of the user's leads, with connections of its own: up to eight beside the pool's.
    /// [`MySqlOptions::open_with`] says what the pool is asked.
    ///
    /// # Errors
    ///
    /// Those of [`MySqlOptions::open_with`].
    pub async fn open_with(pool: MySqlPool) -> Result<Self, Error> {
        Self::options().open_with(pool).await
    }

    /// To open a store with other settings than the default ones.
    pub fn options() -> MySqlOptions {
        MySqlOptions::default()
    }

    /// Creates the tables where they are missing, and the view: for a deployment in which the application itself may not. Safe from
    /// any number of processes at once. It opens a connection of its own, as [`MySqlOptions::open_with`] does.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the server refuses, and what [`MySqlOptions::open_with`] says of the pool.
    pub async fn migrate(pool: MySqlPool) -> Result<(), Error> {
        migrate::create(&Session { connections: session::beside(pool, 1).await? }).await
    }

    async fn start(connections: Connections<sqlx::MySql>, options: MySqlOptions) -> Result<Self, Error> {
        let session = Session { connections };
        if options.migrate {
            migrate::create(&session).await?;
        }
        let limits = migrate::check(&session).await?;
        let inner = Arc::new(Inner {
            session,
            claiming: Lanes::default(),
            completing: Lanes::default(),
            notifiers: Notifiers::new(),
            sweeping: Sweeping::new(options.sweep_batch),
            longest_script: limits.packet,
        });
        if let Some(interval) = options.sweep_interval {
            keep_swept(&inner, interval);
        }
        Ok(Self(inner))
    }

    /// Sends a statement that changes one row, where the key is held.
    async fn change(
        &self,
        scope: &str,
        statement: impl FnOnce(&mut String) -> fmt::Result,
    ) -> Result<Standing, StoreError> {
        let found = async {
            Failure::check_scope(scope)?;
            let mut script = self.0.session.single();
            statement(&mut script.sql)?;
            self.0.session.execute(script).await
        };
        let found = found.await.map_err(Failure::into_error::<MySql>)?;
        Ok(if found > 0 { Standing::Held } else { Standing::Lost })
    }

    /// Tells `Gone` from `Lost`, with one more read. Where that fails, `Lost` stays right.
    async fn or_gone(&self, standing: Standing, scope: &str, key: &Key) -> Standing {
        if standing == Standing::Held {
            return standing;
        }
        let mut script = self.0.session.single();
        if statements::read_known(&mut script.sql, scope, key).is_err() {
            return standing;
        }
        match self.0.session.fetch(script).await {
            Ok(rows) if rows.is_empty() => Standing::Gone,
            _ => standing,
        }
    }

    /// How long the lease on this key still lasts, if there is one.
    async fn held_for(&self, scope: &str, key: &Key) -> Result<Option<Duration>, Failure> {
        let mut script = self.0.session.single();
        statements::read_lease(&mut script.sql, scope, key)?;
        let rows = self.0.session.fetch(script).await?;
        let left: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(left.map(|left| Duration::from_micros(left.unsigned_abs())))
    }
}

impl Inner {
    /// How many of these the server takes at a time, if each is so long in SQL; at least one.
    fn fitting<R>(&self, requests: &[&R], size: impl Fn(&R) -> usize) -> usize {
        let mut left = self.longest_script;
        let fits = requests.iter().take_while(|request| {
            let less = left.checked_sub(size(request));
            left = less.unwrap_or(0);
            less.is_some()
        });
        fits.count().max(1)
    }
}

/// The scope and the key of a request.
fn place_of(request: &impl Placed) -> (&[u8], &[u8]) {
    let (scope, key) = request.place();
    (scope.as_bytes(), key.as_bytes())
}

/// How long the statements for a request are at most, its record aside: its scope and key are in them three times, with two
/// digits for a byte.
fn room_for(request: &impl Placed) -> usize {
    let (scope, key) = place_of(request);
    4 * 1024 + 6 * (scope.len() + key.len())
}

impl IdempotencyStore for MySqlStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        Failure::check_scope(request.scope).map_err(Failure::into_error::<MySql>)?;
        submit(&Claims(Arc::clone(&self.0)), request.into()).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        let standing = self.change(request.scope, |sql| statements::renew(sql, &request)).await?;
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Failure::check_scope(request.scope).map_err(Failure::into_error::<MySql>)?;
        let standing = submit(&Completions(Arc::clone(&self.0)), request.into()).await?;
        self.0.notifiers.notify(request.scope, request.key);
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        let standing = self.change(request.scope, |sql| statements::release(sql, &request)).await?;
        self.0.notifiers.notify(request.scope, request.key);
        // Who never ran has left, whatever was found.
        if request.how == Leave::NotRun {
            return Ok(Standing::Held);
        }
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    /// Returns at once where this process ends the key, and after 50 to 250 ms, longer with each round, for the caller
    /// to see whether another process did. One round trip.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 4] = [50, 100, 200, 250];
        let round = usize::try_from(request.round).unwrap_or(usize::MAX);
        let poll = Duration::from_millis(POLL[round.min(POLL.len() - 1)]).min(request.at_most);
        let deadline = Instant::now() + poll;
        // Listening before looking: or an ending in between is heard by nobody.
        let mut notified = pin!(self.0.notifiers.of(request.scope, request.key).notified());
        notified.as_mut().enable();
        let left = self.held_for(request.scope, request.key).await.map_err(Failure::into_error::<MySql>)?;
        if let Some(left) = left {
            timer::within(|| left.min(deadline.saturating_duration_since(Instant::now())), notified).await;
        }
        Ok(())
    }

    fn max_record_len(&self) -> usize {
        // Two digits for a byte, and room for the rest of the statement.
        const REST: usize = 16 * 1024;
        (self.0.longest_script.saturating_sub(REST) / 2).min(16 * 1024 * 1024)
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}
