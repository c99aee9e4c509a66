//! Whole calls over the memory store: the list of heartbeats, and the guard that leaves the key of a dropped call.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::RuntimeFlavor;

use super::FOR_EVER;
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
use crate::store::{IdempotencyStore, StoreError};
use crate::task::block_on::block_on;
use crate::task::drain::drain_blocking;
use crate::task::sync::runtime::Handle;
use crate::task::sync::{Notify, thread};
use crate::task::timer;
use crate::{Error, MemoryStore, idempotent};

/// A memory store that tells of each renewal, and whose futures are polled by a runtime, as those of a database are.
#[derive(Clone)]
struct Told {
    store: MemoryStore,
    renewed: Arc<Notify>,
    needs_runtime: bool,
}

impl Told {
    fn new(needs_runtime: bool) -> Self {
        Self { store: MemoryStore::new(), renewed: Arc::default(), needs_runtime }
    }
}

impl IdempotencyStore for Told {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.store.claim(request).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        let standing = self.store.renew(request).await;
        self.renewed.notify_one();
        standing
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.store.complete(request).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        self.store.release(request).await
    }

    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        self.store.wait(request).await
    }

    fn needs_runtime(&self) -> bool {
        self.needs_runtime
    }
}

#[idempotent(key = "id", store = "store", lease = "60s")]
fn long(id: u32, store: &Told) -> Result<u32, Error> {
    block_on(store.renewed.notified());
    Ok(id)
}

#[idempotent(key = "id", store = "store", lease = "30s")]
fn short(id: u32, store: &Told) -> Result<u32, Error> {
    block_on(store.renewed.notified());
    Ok(id)
}

type Body = fn(u32, &Told) -> Result<u32, Error>;

/// Three threads run sync bodies, whose leases are of two lengths. Each ends only once its own lease was renewed.
pub fn each_sync_body_has_its_heartbeat() {
    let bodies: [Body; 3] = [long, short, short];
    let threads = bodies.map(|body| thread::spawn(move || body(1, &Told::new(false)).unwrap()));
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 1);
    }
}

#[idempotent(key = "1", store = "store", lease = "60s")]
async fn pay(store: &Told, cents: u32) -> Result<u32, Error> {
    timer::sleep(Duration::from_secs(30)).await;
    Ok(cents)
}

/// Calls for one key are dropped anywhere, by an abort or by the end of their runtime. Once nothing is left to drain, the
/// key is free or completed, and everybody who got an answer got the same.
pub fn a_dropped_call_leaves_its_key() {
    let store = Told::new(true);
    let home = Handle::new(RuntimeFlavor::MultiThread);
    let calls = [10, 20].map(|cents| {
        let store = store.clone();
        home.spawn(async move { pay(&store, cents).await.ok() })
    });
    calls[0].abort();
    let ends = thread::spawn({
        let home = home.clone();
        move || home.end()
    });
    let paid: Vec<u32> = calls.into_iter().filter_map(|call| block_on(call).ok().flatten()).collect();
    ends.join().unwrap();
    assert_eq!(drain_blocking(FOR_EVER), 0);
    let again = block_on(pay(&store, 30)).unwrap();
    assert!(paid.iter().all(|paid| *paid == again), "{paid:?} and {again}");
}
