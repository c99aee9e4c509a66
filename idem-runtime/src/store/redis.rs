//! The Redis store.

mod admin;
mod check;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod confirmation;
mod failure;
mod groups;
mod link;
mod links;
mod listener;
mod names;
mod nodes;
mod options;
mod rows;
mod scan;
mod script;
mod timeouts;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis::aio::ConnectionManager;
use redis::{Cmd, Value};

use self::failure::{Failure, is_unknown};
use self::groups::Groups;
use self::link::{Link, Source};
use self::links::Links;
use self::listener::Listener;
#[cfg(all(fuzzing, feature = "mysql", feature = "postgres", feature = "sqlite"))]
pub(crate) use self::names::{name, parse};
pub use self::options::RedisOptions;
use self::rows::Found;
use self::script::{CLAIM, COMPLETE, Call, LOOK, RELEASE, RENEW};
use crate::error::{Error, ScopedKey};
use crate::protocol::{self, Operation, Reply, micros};
use crate::store::notifiers::Notifiers;
use crate::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, IdempotencyStore, Key, Leave, Orphans, Record,
    ReleaseRequest, RenewRequest, Standing, StoreError, WaitRequest,
};
use crate::task::timer;

/// A store in Redis or Valkey. Any number of processes can share it.
///
/// Each operation is one script call: one round trip, and one atomic step by the server's clock.
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use idem_runtime::RedisStore;
///
/// let store = RedisStore::open("redis://localhost").await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// The store promises nothing about keys that the server has lost. So the server's setup decides:
///
/// - **A crash or power loss of the server.** With `appendonly yes` and `appendfsync always`, a completion is on the
///   disk before it is acknowledged. With `everysec`, the default, the server can lose the last second, and the body of
///   a completed key then runs again. Without an append-only file, the server loses everything since its last snapshot.
/// - **A failover.** Replication is asynchronous, so the promoted replica lacks the claims and completions that it had
///   not received. A body then runs again, or two run at the same time. With [`RedisOptions::wait_replicas`], replicas
///   confirm each claim and each completion before it counts; with [`RedisOptions::wait_aof`], it is also on their
///   disks. Both say what that costs. Fences still grow, as long as the new primary's clock isn't behind the old one's.
/// - **Eviction.** The body of an evicted key runs again. The server needs `maxmemory-policy noeviction`. The store
///   checks the policy when it is opened, and when a holder's key is gone, and logs a warning if it is another one.
/// - **A clock that is set.** A lease ends early by as much as the server's clock steps ahead. This also happens when a
///   replica is promoted whose clock is ahead of its primary's. A key is then granted to a second caller while its
///   holder runs. Slew the clocks, don't step them. chrony's `makestep` should step them only in the first updates
///   after a start. If the clock is set back, leases and ttls last longer by as much. Fences still grow.
///   [`Stats`](crate::admin::Stats) tells how far the servers' clocks are off.
/// - **Reading from replicas.** The store must not read from replicas, because their answers can be stale. If a proxy
///   or the driver is set to do so, turn that off for this store.
///
/// # What it keeps
///
/// The store keeps one string for each key. Its name is `{prefix}{length}:{scope}:{key}`, with the length of the scope
/// in bytes: `idem:6:charge:order-1`, for example. A script uses one name only, so a cluster works
/// ([`RedisOptions::open_with_cluster`]). The head of `idem-runtime/src/store/redis/head.lua` describes the string's
/// bytes.
///
/// A key expires by itself when it is no longer needed, so there is nothing to sweep. A key whose outcome is unknown
/// under `park` or a reconcile function doesn't expire. The script `idem-runtime/src/store/redis/stuck.sh` uses
/// `redis-cli` to list the keys whose last call never said how it ended.
///
/// A completed key takes at most 300 bytes of the server's memory, with a key of 24 bytes, a result of 64 bytes and no
/// fingerprint. Measured: 292 bytes, over 100,000 keys of the scope `orders::charge` on Redis 7.0 with its default
/// settings. Longer keys and results add their length, rounded up as the server's allocator does.
///
/// # Its connections
///
/// A store that is opened by URL makes its own connections, each when it is first used:
///
/// - One for each Tokio runtime. All handles share it, and requests are pipelined on it. The background runtime has one
///   for renewals and for the requests of sync handlers.
/// - One for the requests of operators.
/// - One for requests that replicas have to confirm ([`RedisOptions::wait_replicas`]).
/// - One that receives notifications, from the first wait on. A call that waits for another call's result is notified
///   of it by `PUBLISH`. It also looks by itself every 50 ms to 1 s.
///
/// The next request makes a new connection if the old one broke, if a request on it was given up after a second or more
/// without an answer, or if the server has become a replica. A request is given up after ten seconds without an answer.
/// For a store that is opened with a connection of yours, [`RedisOptions::listen`] says which requests use another one.
///
/// A record can have up to 16 MiB. While Redis works on a large record, it does nothing else.
///
/// # What it needs
///
/// Redis 5 or later, for scripts that read the clock and write; `wait_aof` needs 7.2. Tested with Redis 7.0, and not
/// yet with Valkey.
///
/// A user with access to the keys and channels that begin with the prefix (`~idem:* &idem:*`), and with the commands
/// `EVAL`, `EVALSHA`, `TIME`, `GETRANGE`, `GET`, `EXISTS`, `SET`, `SETRANGE`, `PEXPIREAT`, `PING` and `PUBLISH`.
/// [`RedisOptions::wait_replicas`] also needs `WAIT`, and an operator also needs `SCAN`. The store uses `SCRIPT LOAD`,
/// `INFO` and `SUBSCRIBE` if the user may run them.
///
/// An operator who only reads ([`admin::connect`](crate::admin::connect)) needs `PING`, `TIME`, `SCAN`, `GET`,
/// `GETRANGE` and `EXISTS`.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

/// What the handles of a store share.
struct Shared {
    links: Links,
    /// `Some` if replicas have to confirm writes.
    groups: Option<Arc<Groups>>,
    prefix: Arc<[u8]>,
    notifiers: Arc<Notifiers>,
    listener: Listener,
    told_of_eviction: AtomicBool,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&String::from_utf8_lossy(&self.0.prefix)).finish()
    }
}

impl RedisStore {
    /// Opens the store at this URL.
    ///
    /// # Errors
    ///
    /// Those of [`RedisOptions::open`].
    pub async fn open(url: &str) -> Result<Self, Error> {
        Self::options().open(url).await
    }

    /// Opens the store with a connection of yours. [`RedisOptions::open_with`] says what to consider.
    ///
    /// # Errors
    ///
    /// Those of [`RedisOptions::open_with`].
    pub async fn open_with(connection: ConnectionManager) -> Result<Self, Error> {
        Self::options().open_with(connection).await
    }

    /// The options of a store, to open it with settings other than the default ones, in a cluster, or through
    /// sentinels.
    pub fn options() -> RedisOptions {
        RedisOptions::default()
    }

    async fn start(links: Links, source: Option<Arc<Source>>, options: RedisOptions) -> Result<Self, Error> {
        let notifiers = Notifiers::new();
        let prefix: Arc<[u8]> = options.prefix.into();
        let listener = Listener::new(source, Arc::clone(&prefix), Arc::clone(&notifiers));
        let groups = options.confirmation.map(|confirmation| Groups::new(links.confirmed.clone(), confirmation));
        let told_of_eviction = AtomicBool::new(false);
        let shared = Shared { links, groups, prefix, notifiers, listener, told_of_eviction };
        // Boxed: unboxed, the future nests deeper than the compiler's limit in a caller's future.
        Box::pin(shared.check(options.serves)).await?;
        Ok(Self(Arc::new(shared)))
    }
}

/// The row that a request is about.
#[derive(Clone, Copy)]
struct Place<'a> {
    scope: &'a str,
    key: &'a Key,
}

impl Shared {
    fn name(&self, scope: &str, key: &Key) -> Vec<u8> {
        names::name(&self.prefix, scope, key)
    }

    /// The channel on which the ending of this row is published.
    fn channel(&self, name: &[u8]) -> Vec<u8> {
        names::channel(&self.prefix, names::channel_of(name))
    }

    /// Runs a script.
    async fn run(&self, place: Place<'_>, call: Call) -> Result<Value, Failure> {
        self.run_on(&self.links.handlers, place, call).await
    }

    async fn run_on(&self, link: &Link, place: Place<'_>, call: Call) -> Result<Value, Failure> {
        let answer = match link.send(&call.command).await {
            // The server didn't run the script, so sending it again is no repetition.
            Err(error) if is_unknown(&error) => link.send(&call.by_code().command).await,
            answer => answer,
        };
        answer.map_err(|error| Failure::Redis(error).of(place.scope, place.key))
    }

    /// Runs a script, and waits until replicas have confirmed what it wrote, if the store is set to. Returns which
    /// confirmations are missing.
    async fn run_confirmed(
        &self,
        link: &Link,
        place: Place<'_>,
        call: Call,
    ) -> Result<(Value, Option<Failure>), Failure> {
        let Some(groups) = &self.groups else { return Ok((self.run_on(link, place, call).await?, None)) };
        let settled = groups.settle(call).await.map_err(|error| Failure::Redis(error).of(place.scope, place.key))?;
        Ok((settled.answer, Failure::shortfall(groups.confirmation, &settled.confirmed)))
    }

    /// Computes the reply from what a script found, with the protocol's state machine. Fails if the script wrote and
    /// the state machine would not have, or the reverse.
    fn decide(place: Place<'_>, operation: Operation<'_>, answer: &Value) -> Result<(Reply, Option<Record>), Failure> {
        let answer = rows::answer(answer).map_err(|field| Failure::corrupt(place.scope, place.key, field.0))?;
        let Some(Found { written, now, row, record }) = answer else { return Ok((Reply::Held, None)) };
        let next = protocol::step(row.as_ref(), operation, now);
        if next.row.is_some() != written {
            return Err(Failure::Disagrees { key: ScopedKey::new(place.scope, place.key) });
        }
        Ok((next.reply, record))
    }

    /// The standing of a request. If confirmations are missing, `Held` becomes an error.
    fn standing(
        place: Place<'_>,
        operation: Operation<'_>,
        (answer, missing): (&Value, Option<Failure>),
    ) -> Result<Standing, StoreError> {
        match (Self::decide(place, operation, answer)?.0.into_standing(), missing) {
            (Standing::Held, Some(missing)) => Err(missing.into()),
            (standing, _) => Ok(standing),
        }
    }

    /// Checks for eviction if a holder's row is gone.
    async fn heed(&self, standing: Standing) {
        if standing == Standing::Gone {
            // Boxed: it is rarely needed, and would make every request's future larger.
            Box::pin(self.warn_of_eviction()).await;
        }
    }

    /// `1` if a WAIT follows the script.
    fn waits(&self) -> u8 {
        self.groups.is_some().into()
    }
}

/// Adds to a script's arguments the lease, and how long the row is kept.
fn lease(command: &mut Cmd, lease: Duration, stays: Option<Duration>) {
    command.arg(micros(lease));
    match stays {
        Some(stays) => command.arg(micros(stays)),
        None => command.arg(""),
    };
}

impl IdempotencyStore for RedisStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let name = self.0.name(request.scope, request.key);
        let place = Place { scope: request.scope, key: request.key };
        let fingerprint: &[u8] = request.fingerprint.as_ref().map_or(&[], |fingerprint| &fingerprint.0);
        let arguments = |command: &mut Cmd| {
            command.arg(&request.owner.0);
            lease(command, request.lease, request.stays());
            command.arg(fingerprint).arg(u8::from(request.orphans == Orphans::Take)).arg(self.0.waits());
        };
        let call = CLAIM.call(&name, arguments);
        let (answer, missing) = self.0.run_confirmed(&self.0.links.handlers, place, call).await?;
        let (reply, record) = Shared::decide(place, Operation::Claim(&request), &answer)?;
        match (reply, missing) {
            // A replay needs the confirmations too, because its caller acknowledges the message.
            (Reply::Acquired(_) | Reply::Completed, Some(missing)) => Err(missing.into()),
            _ => Ok(reply.into_claim(|| record)),
        }
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        let name = self.0.name(request.scope, request.key);
        let place = Place { scope: request.scope, key: request.key };
        let arguments = |command: &mut Cmd| {
            command.arg(&request.owner.0).arg(&request.fence.to_be_bytes());
            lease(command, request.lease, request.stays());
        };
        let answer = self.0.run(place, RENEW.call(&name, arguments)).await?;
        let standing = Shared::standing(place, Operation::Renew(&request), (&answer, None))?;
        self.0.heed(standing).await;
        Ok(standing)
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        let name = self.0.name(request.scope, request.key);
        let place = Place { scope: request.scope, key: request.key };
        let channel = self.0.channel(&name);
        let arguments = |command: &mut Cmd| {
            command.arg(&request.owner.0).arg(&request.fence.to_be_bytes()).arg(request.record.as_bytes());
            command.arg(micros(request.ttl)).arg(micros(request.stays())).arg(&channel).arg(self.0.waits());
        };
        let call = COMPLETE.call(&name, arguments);
        let (answer, missing) = self.0.run_confirmed(&self.0.links.handlers, place, call).await?;
        let standing = Shared::standing(place, Operation::Complete(&request), (&answer, missing))?;
        self.0.heed(standing).await;
        Ok(standing)
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        let name = self.0.name(request.scope, request.key);
        let place = Place { scope: request.scope, key: request.key };
        let channel = self.0.channel(&name);
        let how = match request.how {
            Leave::Failed => "failed",
            Leave::OutcomeUnknown => "unknown",
            Leave::Keep => "keep",
            Leave::NotRun => "unrun",
        };
        let arguments = |command: &mut Cmd| {
            command.arg(&request.owner.0).arg(&request.fence.to_be_bytes()).arg(how);
            command.arg(micros(request.retain.max(request.linger))).arg(micros(request.linger)).arg(&channel);
        };
        let answer = self.0.run(place, RELEASE.call(&name, arguments)).await?;
        Shared::standing(place, Operation::Release(&request), (&answer, None))
    }

    /// Returns when the server publishes that the key was completed or released. It returns after 50 ms to 1 s in any
    /// case, longer with each round, and the caller claims again. One round trip.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 6] = [50, 100, 200, 400, 800, 1_000];
        /// The pauses if the store can't listen.
        const DEAF_POLL: [u64; 6] = [50, 100, 200, 250, 250, 250];
        let started = Instant::now();
        let name = self.0.name(request.scope, request.key);
        let place = Place { scope: request.scope, key: request.key };
        // Listen before looking: otherwise an ending between the two would be missed.
        let mut notified = pin!(self.0.notifiers.of(request.scope, request.key).notified());
        notified.as_mut().enable();
        let listens = self.0.listener.listen(names::channel_of(&name)).await;
        let Value::Int(left) = self.0.run(place, LOOK.call(&name, |_| ())).await? else {
            return Err(Failure::Answer.into());
        };
        let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else { return Ok(()) };
        let round = usize::try_from(request.round).unwrap_or(usize::MAX).min(POLL.len() - 1);
        let poll = Duration::from_millis(if listens { POLL[round] } else { DEAF_POLL[round] });
        let most = poll.min(Duration::from_micros(left));
        timer::within(|| most.min(request.at_most.saturating_sub(started.elapsed())), notified).await;
        Ok(())
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}
