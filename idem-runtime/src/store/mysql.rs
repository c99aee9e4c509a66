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
use self::session::{Script, Session};
use crate::error::Error;
use crate::store::notifiers::Notifiers;
use crate::store::sql::{Claiming, Completing, Failure, Lanes, Placed, Sweeping, keep_swept, submit};
use crate::store::table::Table;
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
/// The durability of an InnoDB commit. With `innodb_flush_log_at_trx_commit = 1`, the default, a completion is on the
/// server's disk before it is acknowledged, so it survives `kill -9` and a power loss. With 2, a power loss loses about
/// the last second of commits; with 0, `kill -9` does so too. The handler of a lost completion runs again. If the
/// server writes a binary log, also set `sync_binlog = 1`.
///
/// Without a binary log, MariaDB's default, other transactions see a commit a moment before it is on the disk. A
/// duplicate can then get a result that is lost if the server dies in that moment
/// (<https://bugs.mysql.com/bug.php?id=74303>). Opening the store logs a warning about it. To prevent it, set `log_bin`
/// with `sync_binlog = 1`, which is MySQL's default.
///
/// A failover to an asynchronous replica loses the commits that the replica has not received. Semi-synchronous
/// replication (`rpl_semi_sync_master_wait_point = AFTER_SYNC`) prevents that, until it times out and the primary
/// commits without the replica.
///
/// A lease ends early by as much as the server's clock steps ahead. This also happens when a replica is promoted whose
/// clock is ahead of its primary's. A key is then granted to a second caller while its holder runs. Slew the clocks,
/// don't step them. chrony's `makestep` should step them only in the first updates after a start.
///
/// If the clock is set back, leases and ttls last longer by as much. Fences still grow. [`Stats`](crate::admin::Stats)
/// tells how far the server's clock is off.
///
/// # What it costs
///
/// A claim, a completion, a renewal and a release are one round trip and one commit each, with one sync. A claim is a
/// few statements that are sent together. A duplicate takes no lock and writes nothing, so it waits for no disk.
/// Requests that have to wait for other requests, as with 64 concurrent handlers, share one round trip and one commit;
/// claims share two of each if some of their keys are taken over. A lone request is sent at once. Most completions
/// don't change the secondary index.
///
/// # What it does
///
/// The tables are `idem_keys` and `idem_keys_schema`, in the URL's database. Opening the store creates them;
/// `idem-runtime/src/store/mysql/schema.sql` does so by hand. Beside them it creates the view `idem_keys_stuck`, which
/// shows an operator the keys whose last call never said how it ended (`stuck.sql`). If the user has no right to create
/// the view, the store logs a warning.
///
/// [`MySqlOptions::table`] gives the table another name. Whatever else belongs to the table is named after it.
///
/// Time is the server's. The store works at READ COMMITTED, whatever the server's default is, so a `binlog_format` has
/// to be ROW or MIXED. Values are sent within the statements, as numbers and hexadecimal digits.
///
/// MySQL has no notifications. A waiter is woken at once by an ending in its own process, and looks for endings in
/// other processes every 50 to 250 ms.
///
/// The store sweeps expired rows in the background, in transactions of bounded size with pauses in between. They skip
/// rows that others have locked. Several processes may sweep at the same time. While a transaction is open that may
/// still read deleted rows, the server keeps them, and the file grows with each insert and delete; the sweep doesn't
/// become slower.
///
/// Keys and scopes are binary-safe and case-sensitive, whatever the database's collation is. A scope is at most 1,024
/// bytes long. A record can have up to 16 MiB, or nearly half of the server's `max_allowed_packet` if that is less.
///
/// # What it needs
///
/// MariaDB 10.6 or MySQL 8.0, for `SKIP LOCKED`, with InnoDB pages of 16 KiB or more. Tested with MariaDB 10.11, and
/// not yet with MySQL.
///
/// A user with SELECT, INSERT, UPDATE and DELETE on `idem_keys` and SELECT on `idem_keys_schema`.
///
/// To create the tables, when the store is opened or by [`migrate`](Self::migrate), the user also needs CREATE on the
/// database and INSERT on `idem_keys_schema`. To create the view, the user also needs CREATE VIEW and DROP. The user
/// doesn't need these rights if an administrator has run schema.sql and stuck.sql. The user then needs SELECT on the
/// view, because without it the server doesn't tell that the view exists.
///
/// An operator who only reads ([`admin::connect`](crate::admin::connect)) needs SELECT on both tables, and on the view
/// to read that.
#[derive(Clone)]
pub struct MySqlStore(Arc<Inner>);

/// What the handles of a store share.
struct Inner {
    session: Session,
    claiming: Lanes<Claiming, ClaimAnswer>,
    completing: Lanes<Completing, Standing>,
    notifiers: Arc<Notifiers>,
    sweeping: Sweeping,
    /// How many bytes the server accepts in one round trip.
    longest_script: usize,
}

impl fmt::Debug for MySqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL can contain a password, so it isn't shown.
        f.write_str("MySqlStore")
    }
}

impl MySqlStore {
    /// Opens the store in this database, with connections of its own. The URL is
    /// `mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl-mode=REQUIRED` or `mariadb://…`, for example. sqlx's
    /// `MySqlConnectOptions` documents its other parameters.
    ///
    /// TLS needs the feature `tls`. With `ssl-mode=REQUIRED` the connection uses TLS and accepts any certificate. With
    /// `ssl-mode=VERIFY_IDENTITY` it checks the certificate and the host name in it, against the system's root
    /// certificates and those in the file of `ssl-ca=FILE`. Without `ssl-mode`, the connection to a server that offers
    /// no TLS is not encrypted; MySQL then refuses passwords of its usual kind, `caching_sha2_password`.
    ///
    /// # Errors
    ///
    /// Those of [`MySqlOptions::open`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::options().open(url).await
    }

    /// Opens the store in the database of a pool of yours. The store opens up to eight connections of its own beside
    /// the pool's. [`MySqlOptions::open_with`] says what it uses the pool for.
    ///
    /// # Errors
    ///
    /// Those of [`MySqlOptions::open_with`].
    pub async fn open_with(pool: MySqlPool) -> Result<Self, Error> {
        Self::options().open_with(pool).await
    }

    /// The options of a store, to open it with settings other than the default ones.
    pub fn options() -> MySqlOptions {
        MySqlOptions::default()
    }

    /// Creates the tables and the view if they are missing, with their default names. Use it in a deployment in which
    /// the application has no right to create them. Any number of processes may call it at once. It opens a connection
    /// of its own, as [`MySqlOptions::open_with`] does. For tables of another name,
    /// [`tx::schema_named`](crate::tx::schema_named) returns the SQL.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the server refuses, and the errors of [`MySqlOptions::open_with`] that concern the pool.
    pub async fn migrate(pool: MySqlPool) -> Result<(), Error> {
        migrate::create(&Session::beside(pool, 1, Table::default()).await?).await
    }

    async fn start(session: Session, options: MySqlOptions) -> Result<Self, Error> {
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

    /// Sends a statement that changes one row if the key is held.
    async fn change(
        &self,
        scope: &str,
        statement: impl FnOnce(&mut Script) -> fmt::Result,
    ) -> Result<Standing, StoreError> {
        let found = async {
            Failure::check_scope(scope)?;
            let mut script = self.0.session.single();
            statement(&mut script)?;
            self.0.session.execute(script).await
        };
        let found = found.await.map_err(Failure::into_error::<MySql>)?;
        Ok(if found > 0 { Standing::Held } else { Standing::Lost })
    }

    /// Reads the key once more to tell `Gone` from `Lost`. If that read fails, the answer stays `Lost`, which is still
    /// true.
    async fn or_gone(&self, standing: Standing, scope: &str, key: &Key) -> Standing {
        if standing == Standing::Held {
            return standing;
        }
        let mut script = self.0.session.single();
        if statements::read_known(&mut script, scope, key).is_err() {
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
        statements::read_lease(&mut script, scope, key)?;
        let rows = self.0.session.fetch(script).await?;
        let left: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?;
        Ok(left.map(|left| Duration::from_micros(left.unsigned_abs())))
    }
}

impl Inner {
    /// How many of these requests fit into one round trip, at least one. `size` is how many bytes of SQL a request
    /// takes.
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

/// How many bytes the statements for a request take at most, without its record. They contain its scope and its key
/// three times each, with two digits for a byte.
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
        let standing = self.change(request.scope, |script| statements::renew(script, &request)).await?;
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Failure::check_scope(request.scope).map_err(Failure::into_error::<MySql>)?;
        let standing = submit(&Completions(Arc::clone(&self.0)), request.into()).await?;
        self.0.notifiers.notify(request.scope, request.key);
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        let standing = self.change(request.scope, |script| statements::release(script, &request)).await?;
        self.0.notifiers.notify(request.scope, request.key);
        // A call that never ran its body has released the key, whatever the statement found.
        if request.how == Leave::NotRun {
            return Ok(Standing::Held);
        }
        Ok(self.or_gone(standing, request.scope, request.key).await)
    }

    /// Returns at once if this process ends the key. Otherwise it returns after 50 to 250 ms, longer with each round,
    /// so that the caller looks whether another process ended it. One round trip.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 4] = [50, 100, 200, 250];
        let round = usize::try_from(request.round).unwrap_or(usize::MAX);
        let poll = Duration::from_millis(POLL[round.min(POLL.len() - 1)]).min(request.at_most);
        let deadline = Instant::now() + poll;
        // Listen before looking: otherwise an ending between the two would be missed.
        let mut notified = pin!(self.0.notifiers.of(request.scope, request.key).notified());
        notified.as_mut().enable();
        let left = self.held_for(request.scope, request.key).await.map_err(Failure::into_error::<MySql>)?;
        if let Some(left) = left {
            timer::within(|| left.min(deadline.saturating_duration_since(Instant::now())), notified).await;
        }
        Ok(())
    }

    fn max_record_len(&self) -> usize {
        // A byte takes two digits, and the rest of the statement needs room too.
        const REST: usize = 16 * 1024;
        (self.0.longest_script.saturating_sub(REST) / 2).min(16 * 1024 * 1024)
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}
