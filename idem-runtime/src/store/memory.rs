//! The in-memory store.

mod admin;
mod clock;
mod shard;
mod slot;

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashbrown::DefaultHashBuilder;
use tokio::sync::Notify;

use self::clock::Clock;
use self::shard::Shard;
use crate::error::StoreError;
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Operation, ReleaseRequest, RenewRequest, Reply, Standing,
    WaitRequest, micros,
};
use crate::store::{IdempotencyAdmin, IdempotencyStore};
use crate::task::{quietly, timer};

/// A store in this process's memory: for tests, for a single process, and where losing the keys at a restart is fine.
///
/// Handles share one store. Memory is bounded by expiry: each new key frees up to two that have expired. A key of 24
/// bytes with a result of 64 bytes takes about 165 bytes. No operation allocates while keys and results are short
/// (together at most 93 bytes), beyond the growth of the tables; none waits, so no runtime is needed.
///
/// Leases hold whatever the system's time does: the store's clock is the process's monotonic one, which is neither set nor
/// slewed ahead. A test can give it [another](Self::with_clock).
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

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::over(Clock::monotonic())
    }

    /// An empty store whose clock is this function, which says how long ago 1970 began: for a test of what happens when a
    /// lease or a ttl is over.
    ///
    /// Leases, ttls and waits of the store follow it, sweeps too. It may stand still, leap and step back; one who waits for a
    /// key looks at it every 5 ms. It is called by each operation, once, while others wait, so it mustn't ask the store
    /// anything.
    ///
    /// The deadlines of a call are the process's own and don't follow it: when its lease is renewed, how long it waits for
    /// the store and for a running call (`wait`), and until when its body may start. So a body that runs while the clock leaps
    /// beyond its lease has lost it to whoever comes next, and renews it if nobody comes.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    ///
    /// use idem_runtime::{Error, MemoryStore, Outcome, idempotent, with_store};
    ///
    /// #[idempotent(key = "id", ttl = "7d")]
    /// async fn charge(id: u32) -> Result<Outcome<u32>, Error> {
    ///     Ok(id.into())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let days = Arc::new(AtomicU64::new(0));
    /// let store = MemoryStore::with_clock({
    ///     let days = Arc::clone(&days);
    ///     move || Duration::from_secs(days.load(Ordering::Relaxed) * 24 * 60 * 60)
    /// });
    /// with_store(store, async {
    ///     charge(1).await?;
    ///     days.store(6, Ordering::Relaxed);
    ///     assert!(charge(1).await?.is_replayed());
    ///     days.store(8, Ordering::Relaxed);
    ///     assert!(!charge(1).await?.is_replayed()); // forgotten
    /// #   Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    pub fn with_clock(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self::over(Clock::given(clock))
    }

    fn over(clock: Clock) -> Self {
        let lane = |_| Lane { shard: Mutex::default(), changed: Notify::new(), waiting: AtomicUsize::new(0) };
        Self(Arc::new(Shared { hasher: DefaultHashBuilder::default(), clock, shards: (0..LANES).map(lane).collect() }))
    }

    /// For [`conformance::Suite::clock`](crate::conformance::Suite::clock).
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn set_clock_ahead(&self, ahead: Duration) -> std::future::Ready<()> {
        self.0.clock.set_ahead(ahead);
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
        let clock = &self.0.clock;
        let until = clock.now() + micros(request.at_most);
        loop {
            let changed = lane.changed.notified();
            // What ended before this line is seen by the next look at the row, and what ends after it by `changed`.
            let now = clock.now();
            let is_held = lane.lock().is_held(hash, request.scope, request.key.as_bytes(), now);
            if !is_held || now >= until {
                return Ok(());
            }
            if timer::within(|| clock.pause(now, until), pin!(changed)).await.is_some() {
                return Ok(());
            }
        }
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
