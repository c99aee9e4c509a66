//! The in-memory store.

mod admin;
mod shard;
mod slot;

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use hashbrown::DefaultHashBuilder;
use tokio::sync::Notify;

use self::shard::Shard;
use crate::admin::IdempotencyAdmin;
use crate::claim::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
use crate::error::StoreError;
use crate::protocol::{Micros, Operation, Reply};
use crate::quiet::quietly;
use crate::store::IdempotencyStore;
use crate::timer;

/// A store in this process's memory: for tests, for a single process, and where losing the keys at a restart is fine.
///
/// Handles share one store. Memory is bounded by expiry: each new key frees up to two that have expired. A key of 24
/// bytes with a result of 64 bytes takes about 165 bytes. No operation allocates while keys and results are short
/// (together at most 93 bytes), beyond the growth of the tables; none waits, so no runtime is needed.
///
/// Leases hold whatever the system's time does: the store's clock is the process's monotonic one, which is neither set nor
/// slewed ahead.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    hasher: DefaultHashBuilder,
    clock: Clock,
    shards: Box<[Lane]>,
}

/// A part of the keys. On cache lines of its own, so that two threads on two lanes don't slow each other down.
#[repr(align(128))]
struct Lane {
    shard: Mutex<Shard>,
    /// Wakes those who wait for a key of this lane.
    changed: Notify,
    waiting: AtomicUsize,
}

/// Enough that threads rarely meet, few enough that an empty store is small.
const LANES: usize = 64;

struct Clock {
    started: Instant,
    epoch: Micros,
    /// How far the conformance suite has moved it.
    #[cfg(feature = "conformance")]
    ahead: std::sync::atomic::AtomicU64,
}

impl Clock {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            epoch: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, as_micros),
            #[cfg(feature = "conformance")]
            ahead: std::sync::atomic::AtomicU64::new(0),
        }
    }

    fn now(&self) -> Micros {
        let now = self.epoch + as_micros(self.started.elapsed());
        #[cfg(feature = "conformance")]
        let now = now + self.ahead.load(Ordering::Relaxed);
        now
    }
}

#[expect(clippy::cast_possible_truncation, reason = "64 bits of microseconds are half a million years")]
fn as_micros(duration: std::time::Duration) -> Micros {
    duration.as_micros() as Micros
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let clock = Clock::new();
        let lane = |_| Lane { shard: Mutex::default(), changed: Notify::new(), waiting: AtomicUsize::new(0) };
        Self(Arc::new(Shared { hasher: DefaultHashBuilder::default(), clock, shards: (0..LANES).map(lane).collect() }))
    }

    /// For [`conformance::Suite::clock`](crate::conformance::Suite::clock).
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn set_clock_ahead(&self, ahead: std::time::Duration) -> std::future::Ready<()> {
        self.0.clock.ahead.store(as_micros(ahead), Ordering::Relaxed);
        std::future::ready(())
    }

    /// The lane of a key, with the key's hash in it.
    fn lane(&self, scope: &str, key: &Key) -> (&Lane, u64) {
        let hash = hash(&self.0.hasher, scope, key.as_bytes());
        // The table takes its buckets from the low bits and its tags from the high ones.
        let lane = usize::try_from(hash >> 32).unwrap_or(0) % LANES;
        (&self.0.shards[lane], hash)
    }

    /// One atomic step on one key.
    fn apply(&self, scope: &str, key: &Key, operation: Operation<'_>) -> Result<Reply, StoreError> {
        let (lane, hash) = self.lane(scope, key);
        let mut shard = lane.lock();
        let (reply, ended) = shard.apply(&self.0.hasher, hash, scope, key.as_bytes(), operation, self.0.clock.now())?;
        drop(shard);
        if ended {
            lane.announce();
        }
        Ok(reply)
    }
}

impl Lane {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        self.shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            quietly(|| self.changed.notify_waiters());
        }
    }
}

fn hash(hasher: &DefaultHashBuilder, scope: &str, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(scope.as_bytes());
    hasher.write(key);
    hasher.finish()
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: usize = self.0.shards.iter().map(|lane| lane.lock().len()).sum();
        f.debug_struct("MemoryStore").field("keys", &keys).finish_non_exhaustive()
    }
}

impl IdempotencyStore for MemoryStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (lane, hash) = self.lane(request.scope, request.key);
        let mut shard = lane.lock();
        shard.claim(&self.0.hasher, hash, &request, self.0.clock.now())
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Renew(&request))?.into_standing())
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Complete(&request))?.into_standing())
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Release(&request))?.into_standing())
    }

    /// Woken by the ending of the key, or of another of its lane.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        let (lane, hash) = self.lane(request.scope, request.key);
        let _waiting = Waiting::new(&lane.waiting);
        let changed = lane.changed.notified();
        // What ended before this line is seen by the next look at the row, and what ends after it by `changed`.
        let is_held = lane.lock().is_held(hash, request.scope, request.key.as_bytes(), self.0.clock.now());
        if is_held {
            timer::within(|| request.at_most, pin!(changed)).await;
        }
        Ok(())
    }

    fn needs_runtime(&self) -> bool {
        false
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}

/// Counts a waiter while it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
