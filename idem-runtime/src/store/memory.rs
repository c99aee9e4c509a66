//! The in-memory store.

mod admin;
mod clock;
mod shard;
mod slot;

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use hashbrown::DefaultHashBuilder;

use self::clock::Clock;
use self::shard::Shard;
use crate::error::StoreError;
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, Key, Operation, ReleaseRequest, RenewRequest, Reply,
    Standing, WaitRequest, micros,
};
use crate::store::{IdempotencyAdmin, IdempotencyStore};
use crate::task::sync::atomic::{AtomicUsize, Ordering};
use crate::task::sync::{Mutex, MutexGuard, Notify};
use crate::task::{quietly, timer};

/// A store in this process's memory, for tests, and for a single process that may lose its keys at a restart.
///
/// All clones of a handle share one store. Expiry bounds its memory: each new key frees up to two rows that have
/// expired. A key of 24 bytes with a result of 64 bytes takes about 165 bytes. While keys and results are short
/// (together at most 93 bytes), no operation allocates memory, except when the tables grow. No operation waits, so the
/// store needs no runtime.
///
/// Leases hold whatever the system's time does, because the store uses the process's monotonic clock. Nobody can set
/// that clock or slew it ahead. A test can use [another clock](Self::with_clock).
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    hasher: DefaultHashBuilder,
    clock: Clock,
    shards: Box<[LockedShard]>,
}

/// One shard of the keys and its waiters. The alignment gives each its own cache lines, so that threads that use
/// different shards don't slow each other down.
#[repr(align(128))]
struct LockedShard {
    shard: Mutex<Shard>,
    /// Wakes the waiters of the keys of this shard.
    changed: Notify,
    waiting: AtomicUsize,
}

/// With 64 shards two threads rarely use the same one, and an empty store is small.
const SHARDS: usize = 64;

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::over(Clock::monotonic())
    }

    /// Makes an empty store whose clock is this function. The function returns the time since 1970 began. Use it in a
    /// test of what happens after a lease or a ttl.
    ///
    /// The store's leases, ttls, waits and sweeps follow this clock. It may stand still, leap ahead and step back; a
    /// waiter reads it every 5 ms. Each operation calls the function once, under a lock, so it must not call the store.
    ///
    /// The deadlines of a call don't follow this clock; they use the process's own: when the lease is renewed, how long
    /// the call waits for the store and for a running call (`wait`), and until when the body may start. If the clock
    /// leaps beyond the lease of a running body, the next caller takes the key over; if no caller comes, the body's
    /// next renewal restores the lease.
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
        let shard = |_| LockedShard { shard: Mutex::default(), changed: Notify::new(), waiting: AtomicUsize::new(0) };
        Self(Arc::new(Shared {
            hasher: DefaultHashBuilder::default(),
            clock,
            shards: (0..SHARDS).map(shard).collect(),
        }))
    }

    /// For [`conformance::Suite::clock`](crate::conformance::Suite::clock).
    #[cfg(feature = "conformance")]
    #[doc(hidden)]
    pub fn set_clock_ahead(&self, ahead: Duration) -> std::future::Ready<()> {
        self.0.clock.set_ahead(ahead);
        std::future::ready(())
    }

    /// The shard of a key, and the key's hash.
    fn shard(&self, scope: &str, key: &Key) -> (&LockedShard, u64) {
        let hash = hash(&self.0.hasher, scope, key.as_bytes());
        // The hash table uses the low bits for its buckets and the high bits for its tags, so the shard comes from bits
        // between them.
        let nth = usize::try_from(hash >> 32).unwrap_or(0) % SHARDS;
        (&self.0.shards[nth], hash)
    }

    /// Carries out one atomic step on one key.
    fn apply(&self, scope: &str, key: &Key, operation: Operation<'_>) -> Result<Reply, StoreError> {
        let (locked, hash) = self.shard(scope, key);
        let mut shard = locked.lock();
        let (reply, ended) = shard.apply(&self.0.hasher, hash, scope, key.as_bytes(), operation, self.0.clock.now())?;
        drop(shard);
        if ended {
            locked.announce();
        }
        Ok(reply)
    }
}

impl LockedShard {
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
        let keys: usize = self.0.shards.iter().map(|locked| locked.lock().len()).sum();
        f.debug_struct("MemoryStore").field("keys", &keys).finish_non_exhaustive()
    }
}

impl IdempotencyStore for MemoryStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (locked, hash) = self.shard(request.scope, request.key);
        let mut shard = locked.lock();
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

    /// An ending of the key wakes it, or of another key of the same shard.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        let (locked, hash) = self.shard(request.scope, request.key);
        let _waiting = Waiting::new(&locked.waiting);
        let clock = &self.0.clock;
        let until = clock.now() + micros(request.at_most);
        loop {
            let changed = locked.changed.notified();
            // The next read of the row sees an ending before this line. `changed` reports an ending after it.
            let now = clock.now();
            let is_held = locked.lock().is_held(hash, request.scope, request.key.as_bytes(), now);
            if !is_held || now >= until {
                return Ok(());
            }
            if timer::within(|| clock.pause(now, until), pin!(changed)).await.is_some() {
                return Ok(());
            }
        }
    }

    fn completed(&self, request: &ClaimRequest<'_>) -> Option<Completed> {
        let (locked, hash) = self.shard(request.scope, request.key);
        locked.lock().completed(hash, request, &self.0.clock)
    }

    fn needs_runtime(&self) -> bool {
        false
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}

/// Counts one waiter until it is dropped.
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
