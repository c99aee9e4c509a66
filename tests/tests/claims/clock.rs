//! R10: only the store's clock decides.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use idem_runtime::protocol::{self, Operation, Reply, Row};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Record, ReleaseRequest, RenewRequest, Standing,
};
use idem_runtime::{Error, IdempotencyStore, StoreError, idempotent};
use idem_tests::Gate;

type Rows = HashMap<Vec<u8>, (Row, Option<Record>)>;

/// A store whose clock differs much from this process's.
#[derive(Clone)]
struct FarClock {
    rows: Arc<Mutex<Rows>>,
    now: fn() -> u64,
}

impl FarClock {
    fn apply(&self, key: &Key, operation: Operation<'_>, new: Option<&Record>) -> (Reply, Option<Record>) {
        let mut rows = self.rows.lock().unwrap();
        let (row, record) = rows.get(key.as_bytes()).cloned().unzip();
        let next = protocol::step(row.as_ref(), operation, (self.now)());
        if let Some(row) = next.row {
            rows.insert(key.as_bytes().to_vec(), (row, new.cloned().or(record.clone().flatten())));
        }
        (next.reply, record.flatten())
    }
}

impl IdempotencyStore for FarClock {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (reply, record) = self.apply(request.key, Operation::Claim(&request), None);
        Ok(reply.into_claim(|| record))
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.key, Operation::Renew(&request), None).0.into_standing())
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.key, Operation::Complete(&request), Some(request.record)).0.into_standing())
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.key, Operation::Release(&request), None).0.into_standing())
    }
}

#[tokio::test]
async fn r10_only_the_stores_clock_decides() {
    #[idempotent(key = "id", scope = "claims-r10", store = store, lease = "900ms", ttl = "1500ms", claim = claim)]
    async fn handle(store: &FarClock, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(claim.attempt())
    }

    const DAY: u64 = 24 * 60 * 60 * 1_000_000;
    fn real() -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros().try_into().unwrap()
    }

    for now in [|| real() - DAY, || real() + DAY] {
        let store = FarClock { rows: Arc::default(), now };
        let gate = Gate::default();
        let running = tokio::spawn({
            let (store, gate) = (store.clone(), gate.clone());
            async move { handle(&store, gate, 1).await }
        });
        gate.started().await;
        // Longer than the first lease, so it must have been renewed, by the store's clock.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let error = handle(&store, Gate::default(), 1).await.unwrap_err();
        assert!(error.retry_after().is_some_and(|left| left <= Duration::from_millis(900)), "{error}");
        gate.open();
        assert_eq!(running.await.unwrap().unwrap(), 1);
        assert_eq!(handle(&store, Gate::default(), 1).await.unwrap(), 1, "replayed");
        tokio::time::sleep(Duration::from_millis(1510)).await;
        assert_eq!(handle(&store, Gate::opened(), 1).await.unwrap(), 1, "forgotten, and run again");
    }
}
