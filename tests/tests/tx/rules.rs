//! The rules of tx mode, on one database: `super` says which.

mod blocks;
mod bodies;
mod modes;
mod refusals;
mod results;
mod transactions;
mod unfinished;

use std::time::Duration;

use idem_runtime::admin::Resolution;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Key, Owner};
use idem_runtime::{IdempotencyStore as _, Outcome};

use super::{BOOK, Bench, Failed, book};

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Books in a new transaction, and commits it.
pub(crate) async fn booked(bench: &Bench, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    let mut tx = bench.begin().await;
    let booked = book(&mut tx, id, amount).await;
    match booked {
        Ok(_) => tx.commit().await?,
        Err(_) => tx.rollback().await?,
    }
    booked
}

/// Records this result for the key, as a handler of another version of the program would.
async fn recorded<T: serde::Serialize>(bench: &Bench, id: &str, result: &T, ttl: Duration) {
    let (store, key) = (bench.store().await, key(id));
    let Resolution::Executed { record, .. } = Resolution::executed(result, ttl).unwrap() else { unreachable!() };
    let request = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("{id} is taken") };
    store.complete(CompleteRequest::new(&request, grant.fence, &record, ttl)).await.unwrap();
}

fn key(id: &str) -> Key {
    Key::of(id).unwrap()
}
