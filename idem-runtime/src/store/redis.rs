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

/// A store in Redis or Valkey, which any number of processes share.
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
/// What the server has forgotten, it promises nothing about, so how the server is set up decides:
///
/// - **A crash or power loss of the server.** With `appendonly yes` and `appendfsync always`, a completion is on the disk
///   before it is acknowledged. With `everysec`, the default, the last second can be forgotten: a completed key's body
///   then runs again. Without an append-only file, everything since the last snapshot.
/// - **A failover.** Replication is asynchronous: the promoted replica lacks what only the old primary had acknowledged,
///   completions as well as claims. A body runs again, or runs twice at a time. [`RedisOptions::wait_replicas`] has
///   replicas confirm each claim and completion first, and [`RedisOptions::wait_aof`] their disks as well; both say what
///   that costs. Fences still grow, as long as the new primary's clock isn't behind the old one's.
/// - **Eviction.** An evicted key is a forgotten one. The server needs `maxmemory-policy noeviction`; a store that finds
///   another one, when it is opened or when a holder's key is gone, logs a warning.
/// - **A clock that is set.** Leases hold within what the server's clock steps ahead: a clock that is set ahead, or a promoted
///   replica's that is ahead of its primary's, ends them early by as much, and a key is then granted to a second caller while
///   its holder runs. Slew the clocks, don't step them (chrony: `makestep` for the first updates after a start alone). A clock
///   that is set back makes leases and ttls longer by as much, and fences grow all the same.
///   [`Stats`](crate::admin::Stats) tells how far the servers' clocks are off.
/// - **Reading from replicas.** Never: an answer would be stale. Where a proxy or the driver is set to do so, turn it off
///   for this store.
///
/// # What it keeps
///
/// One string for each key, named `PREFIX LENGTH:SCOPE:KEY` with the length of the scope in bytes, so a cluster works
/// ([`RedisOptions::open_with_cluster`]); `idem:6:charge:order-1` is one. Its bytes are described at the head of
/// `idem-runtime/src/store/redis/head.lua`. It expires by itself once nobody needs it, so there is nothing to sweep. A key
/// whose outcome is unknown under `park` or a reconcile function doesn't expire. The script
/// `idem-runtime/src/store/redis/stuck.sh` lists the keys that nobody is working on, by `redis-cli`.
///
/// A completed key takes at most 300 bytes of the server's memory in all, with a key of 24 bytes, a result of 64 and no
/// fingerprint: 292, measured over 100,000 keys of the scope `orders::charge` on Redis 7.0 with its default settings. What is
/// longer adds its length, rounded up as the server's allocator does.
///
/// # How it is reached
///
/// A store that is opened by URL has connections of its own, each made when it is first used. All handles share one for each
/// Tokio runtime, on which requests are pipelined; renewals, and the requests of sync handlers, have one in the background.
/// Operators' requests have another, and what is to be confirmed by replicas ([`RedisOptions::wait_replicas`]) has one more.
/// Where a connection broke, where a request went without an answer for a second or more until it was given up, or where the
/// server has become a replica, the next request makes a new one. A request without an answer within ten seconds is given up.
/// A call that waits for another's result is told of it by `PUBLISH`, over a connection that is made at the first wait, and
/// looks by itself every 50 ms to 1 s. Over a connection of the user's, [`RedisOptions::listen`] says what uses another one.
///
/// A record can have 16 MiB. While Redis works on a large one, it does nothing else.
///
/// # What it needs
///
/// Redis 5 or later, for scripts that read the clock and write; `wait_aof` needs 7.2. Tested is 7.0, and no Valkey yet.
///
/// A user with the keys and channels that begin with the prefix (`~idem:* &idem:*`), and the commands `EVAL`, `EVALSHA`,
/// `TIME`, `GETRANGE`, `GET`, `EXISTS`, `SET`, `SETRANGE`, `PEXPIREAT`, `PING` and `PUBLISH`; with
/// [`RedisOptions::wait_replicas`] `WAIT`, and for an operator `SCAN`. An operator who only looks
/// ([`admin::connect`](crate::admin::connect)) needs `PING`, `TIME`, `SCAN`, `GET`, `GETRANGE` and `EXISTS`. `SCRIPT LOAD`, `INFO` and `SUBSCRIBE` are made use of
/// where they are allowed.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

/// What the handles of a store share.
struct Shared {
    links: Links,
    /// Where others are to confirm what is written.
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

    /// Opens the store with a connection of the user's. [`RedisOptions::open_with`] says what to mind.
    ///
    /// # Errors
    ///
    /// Those of [`RedisOptions::open_with`].
    pub async fn open_with(connection: ConnectionManager) -> Result<Self, Error> {
        Self::options().open_with(connection).await
    }

    /// To open a store with other settings than the default ones, in a cluster, or where the sentinels say.
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
        // On the heap: it nests deeper than the compiler follows in a caller's future.
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

    /// The channel that tells of this row's ending.
    fn channel(&self, name: &[u8]) -> Vec<u8> {
        names::channel(&self.prefix, names::channel_of(name))
    }

    /// Runs a script.
    async fn run(&self, place: Place<'_>, call: Call) -> Result<Value, Failure> {
        self.run_on(&self.links.handlers, place, call).await
    }

    async fn run_on(&self, link: &Link, place: Place<'_>, call: Call) -> Result<Value, Failure> {
        let answer = match link.send(&call.command).await {
            // It has run nowhere: this is no repetition.
            Err(error) if is_unknown(&error) => link.send(&call.by_code().command).await,
            answer => answer,
        };
        answer.map_err(|error| Failure::Redis(error).of(place.scope, place.key))
    }

    /// Runs a script, and has others confirm what it wrote, if the store is to. Says what is missing.
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

    /// What a script found: the state machine says what follows from it.
    fn decide(place: Place<'_>, operation: Operation<'_>, answer: &Value) -> Result<(Reply, Option<Record>), Failure> {
        let answer = rows::answer(answer).map_err(|field| Failure::corrupt(place.scope, place.key, field.0))?;
        let Some(Found { written, now, row, record }) = answer else { return Ok((Reply::Held, None)) };
        let next = protocol::step(row.as_ref(), operation, now);
        if next.row.is_some() != written {
            return Err(Failure::Disagrees { key: ScopedKey::new(place.scope, place.key) });
        }
        Ok((next.reply, record))
    }

    /// Where others have to confirm, a standing counts once they did.
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

    /// A holder whose row has gone may have lost it to an eviction.
    async fn heed(&self, standing: Standing) {
        if standing == Standing::Gone {
            // On the heap: it is rare, and would be a part of every request's future.
            Box::pin(self.warn_of_eviction()).await;
        }
    }

    /// `1` where a WAIT follows.
    fn waits(&self) -> u8 {
        self.groups.is_some().into()
    }
}

/// Adds a lease, and how long the row stays, as a script reads them.
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
            // A replay acknowledges the completion too.
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

    /// Returns as soon as the server tells that the key changed hands, and after 50 ms to 1 s, longer with each round, for
    /// the caller to see for itself. One round trip, beside the caller's claim.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 6] = [50, 100, 200, 400, 800, 1_000];
        /// Where nothing is told.
        const DEAF_POLL: [u64; 6] = [50, 100, 200, 250, 250, 250];
        let started = Instant::now();
        let name = self.0.name(request.scope, request.key);
        let place = Place { scope: request.scope, key: request.key };
        // Listening before looking: or an ending in between is heard by nobody.
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
