//! A store of one's own: here, a `HashMap`. The state machine comes with the library, so a store finds the row, asks
//! `step` what becomes of it, and writes that, while nobody else can write the row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use idem_runtime::IdempotencyStore;
use idem_runtime::protocol::{Operation, Reply, Row, State, step};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Record, ReleaseRequest, RenewRequest, Standing, StoreError,
};

/// A handle: its clones share the rows.
#[derive(Clone, Default)]
struct MapStore(Arc<Mutex<Rows>>);

/// By scope and key: the row, and the result of a completed key.
type Rows = HashMap<(String, Vec<u8>), (Row, Option<Record>)>;

impl MapStore {
    /// One atomic step on one key. A database does the same in a transaction.
    fn apply(&self, scope: &str, key: &Key, operation: Operation<'_>) -> Result<(Reply, Option<Record>), StoreError> {
        let mut rows = self.0.lock().map_err(|_| StoreError::refused("the map", "a thread panicked while it wrote"))?;
        // The store's own clock, read under the lock: no client's.
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| StoreError::refused("the map", error))?;
        let now = u64::try_from(now.as_micros()).map_err(|error| StoreError::refused("the map", error))?;

        let at = (scope.to_owned(), key.as_bytes().to_vec());
        let (row, record) = rows.get(&at).cloned().unzip();
        let record = record.flatten();
        let next = step(row.as_ref(), operation, now);
        if let Some(row) = next.row {
            let record = match operation {
                Operation::Complete(request) => Some(request.record.clone()),
                // A completed row keeps its record for as long as it is completed; no other row has one.
                _ => record.clone().filter(|_| row.state == State::Done),
            };
            rows.insert(at, (row, record));
        }
        Ok((next.reply, record))
    }
}

impl IdempotencyStore for MapStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (reply, record) = self.apply(request.scope, request.key, Operation::Claim(&request))?;
        Ok(reply.into_claim(|| record))
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Renew(&request))?.0.into_standing())
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Complete(&request))?.0.into_standing())
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Release(&request))?.0.into_standing())
    }

    // Its futures wait for no I/O, so any thread may poll them.
    fn needs_runtime(&self) -> bool {
        false
    }
}

#[idem_runtime::idempotent(key = "order_id", scope = "welcome", store = store)]
async fn welcome(store: &MapStore, order_id: &str) -> Result<idem_runtime::Outcome<String>, idem_runtime::Error> {
    Ok(format!("thank you for {order_id}").into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Is it a store? In a crate of its own, this is the test below.
    idem_runtime::conformance::run(async || MapStore::default()).await;
    println!("MapStore conforms");
    let store = MapStore::default();
    println!("{:?}", welcome(&store, "order-17").await?);
    println!("{:?}", welcome(&store, "order-17").await?); // a duplicate
    Ok(())
}

#[cfg(test)]
#[tokio::test(flavor = "multi_thread")]
async fn map_store_conforms() {
    idem_runtime::conformance::run(async || MapStore::default()).await;
}
