//! R13: the ending of a call reaches the store, though the runtime on which it was begun ends.

use std::time::Duration;

use idem_runtime::protocol::State;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, ReleaseRequest, RenewRequest, Standing, StoreError,
};
use idem_runtime::{Error, IdempotencyStore, MemoryStore, Outcome, idempotent};

use super::{key, runtime};

/// A store whose endings take a while, by a timer of the runtime on which they are sent.
#[derive(Clone)]
struct Slow(MemoryStore);

impl IdempotencyStore for Slow {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.0.claim(request).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.0.renew(request).await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.complete(request).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.release(request).await
    }
}

#[idempotent(key = "id", store = store, scope = "attack::leaves", on_crash = "park")]
async fn leaves(store: &Slow, id: &str, returns: bool) -> Result<Outcome<u32>, Error> {
    if !returns {
        std::future::pending::<()>().await;
    }
    Ok(1.into())
}

/// A call is dropped, and its runtime ends while the ending is under way.
#[test]
fn r13_an_ending_outlives_the_runtime_that_it_was_begun_on() {
    for (returns, state) in [(false, State::Unknown), (true, State::Done)] {
        let store = Slow(MemoryStore::new());
        let runtime = runtime();
        runtime.block_on(async {
            let called = store.clone();
            let call = tokio::spawn(async move { leaves(&called, "1", returns).await });
            tokio::time::sleep(Duration::from_millis(20)).await;
            call.abort();
            // By then the ending has begun.
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        drop(runtime);
        std::thread::sleep(Duration::from_secs(1));
        let key = key("1");
        let found = store.0.admin().unwrap();
        let (entry, _) = self::runtime().block_on(found.get("attack::leaves", &key)).unwrap().unwrap();
        assert_eq!(entry.row.state, state);
    }
}
