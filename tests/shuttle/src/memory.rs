//! The memory store's shards, and the wakes of those who wait for a key.

use std::sync::Arc;

use super::FOR_EVER;
use crate::MemoryStore;
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Leave, Owner, Record, ReleaseRequest, WaitRequest,
};
use crate::store::IdempotencyStore;
use crate::task::block_on::block_on;
use crate::task::sync::atomic::{AtomicUsize, Ordering};
use crate::task::sync::thread;

const WORKERS: u8 = 3;

/// Claims the key until it is completed, and says how often it ran. The first run of all fails.
async fn work(store: &MemoryStore, runs: &AtomicUsize, worker: u8) {
    let key = Key::from_bytes(b"key").unwrap();
    for round in 0.. {
        // One who has left claims as another.
        let owner = Owner([worker, round, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let request = ClaimRequest::new("scope", &key, owner, FOR_EVER);
        match store.claim(request).await.unwrap() {
            ClaimAnswer::Acquired(grant) if runs.fetch_add(1, Ordering::SeqCst) == 0 => {
                store.release(ReleaseRequest::new(&request, grant.fence, Leave::Failed)).await.unwrap();
            }
            ClaimAnswer::Acquired(grant) => {
                let record = Record::from_bytes(&[worker]);
                store.complete(CompleteRequest::new(&request, grant.fence, &record, FOR_EVER)).await.unwrap();
                return;
            }
            ClaimAnswer::Completed(_) => return,
            _ => store.wait(WaitRequest { scope: "scope", key: &key, at_most: FOR_EVER, round: 0 }).await.unwrap(),
        }
    }
}

/// Three threads want one key, whose leases don't end: one runs and fails, one runs and completes, and whoever waits is
/// woken.
pub fn who_waits_for_a_key_is_woken() {
    let (store, runs) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (store, runs) = (store.clone(), Arc::clone(&runs));
            thread::spawn(move || block_on(work(&store, &runs, worker)))
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!(runs.load(Ordering::SeqCst), 2, "runs");
}
