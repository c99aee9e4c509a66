//! What is on crates.io.

use std::convert::Infallible;
use std::time::Duration;

use cached::Cached as _;
use cached::macros::{cached, concurrent_cached};
use idempotent::memory::MemoryStore;
use idempotent::{Cacheable, CachedResponse, ExecutionOutcome, IdempotencyKey, IdempotencyStore as _, Metadata};

use crate::handler::{Async, Codec as _, MessagePack, Protected, Receipt, Refused, Sync_, charge};

#[cached(key = "String", convert = { order_id.to_owned() })]
fn cached_sync(order_id: &str) -> Result<Receipt, Refused> {
    charge(order_id)
}

#[cached(key = "String", convert = { order_id.to_owned() })]
async fn cached_async(order_id: &str) -> Result<Receipt, Refused> {
    charge(order_id)
}

#[concurrent_cached(key = "String", convert = { order_id.to_owned() })]
fn concurrent_sync(order_id: &str) -> Result<Receipt, Refused> {
    charge(order_id)
}

#[concurrent_cached(key = "String", convert = { order_id.to_owned() })]
async fn concurrent_async(order_id: &str) -> Result<Receipt, Refused> {
    charge(order_id)
}

/// `#[cached]`: one lock, no claim (two callers of a new key both run), no lease, values cloned and not encoded.
#[derive(Clone)]
pub struct Cached;

impl Protected for Cached {
    fn fresh() -> Self {
        Self
    }
    async fn forget(&self) {
        CACHED_SYNC.write().cache_reset();
        CACHED_ASYNC.write().await.cache_reset();
    }
}

impl Sync_ for Cached {
    fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        cached_sync(order_id)
    }
}

impl Async for Cached {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        cached_async(order_id).await
    }
}

/// `#[concurrent_cached]`: the same with a lock for each shard.
#[derive(Clone)]
pub struct CachedConcurrent;

impl Protected for CachedConcurrent {
    fn fresh() -> Self {
        Self
    }
    async fn forget(&self) {
        CONCURRENT_SYNC.reset();
        if let Some(cache) = CONCURRENT_ASYNC.get() {
            cache.reset();
        }
    }
}

impl Sync_ for CachedConcurrent {
    fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        concurrent_sync(order_id)
    }
}

impl Async for CachedConcurrent {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        concurrent_async(order_id).await
    }
}

/// The crate `idempotent`, over its memory store.
#[derive(Clone)]
pub struct Idempotent(MemoryStore);

impl Protected for Idempotent {
    fn fresh() -> Self {
        Self(MemoryStore::builder().try_build().unwrap())
    }
}

/// `CachedResponse` is an HTTP response; what is cached is its body.
impl Cacheable for Receipt {
    type Error = Infallible;

    fn to_response(&self) -> Result<CachedResponse, Infallible> {
        Ok(CachedResponse::new(200, Metadata::new(), MessagePack::encode(self).into()))
    }

    fn from_response(response: CachedResponse) -> Result<Self, Infallible> {
        Ok(MessagePack::decode(&response.body))
    }
}

impl Async for Idempotent {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        let key = IdempotencyKey::new(order_id).map_err(|error| Refused::Library(error.into()))?;
        let work = |_| async { charge(order_id).map_err(|_| "the handler failed".into()) };
        let claim = self.0.claim(&key, Duration::from_secs(60)).fingerprint("charge", b"");
        match claim.execute_or_replay(Duration::from_secs(7 * 24 * 60 * 60), work).await {
            Ok(ExecutionOutcome::Executed(receipt) | ExecutionOutcome::Replayed(receipt)) => Ok(receipt),
            Ok(_) => Err(Refused::InProgress),
            Err(error) => Err(Refused::Library(error.to_string().into())),
        }
    }
}
