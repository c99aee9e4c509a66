//! A record expires while several callers ask for it. Its state and its result expire together, and one body runs. Other libraries,
//! such as express-idempotency, keep the two in two entries, or read before they write.

use std::time::Duration;

use idem_runtime::{AnyStore, Error, Outcome, idempotent};
use idem_tests::{Count, Gate};
use tokio::task::JoinSet;

use crate::on_every_store;

const PATIENCE: Duration = Duration::from_secs(30);
/// How many records expire, one after the other.
const ROUNDS: u32 = 4;
/// How many callers there are at once.
const CALLERS: u32 = 4;

#[idempotent(key = "id", scope = "peers::expires", store = store, ttl = "300ms")]
async fn handle(store: &AnyStore, ran: &Count, gate: &Gate, id: u32) -> Result<Outcome<u32>, Error> {
    let run = ran.up();
    gate.pass().await;
    Ok(run.into())
}

/// Calls without a pause until the answer is no longer the first result.
async fn until_it_expires(store: AnyStore, ran: Count, gate: Gate, id: u32) -> Result<Outcome<u32>, Error> {
    loop {
        let told = handle(&store, &ran, &gate, id).await;
        if !matches!(told, Ok(Outcome::Replayed(1))) {
            return told;
        }
    }
}

async fn r17_one_body_runs_where_a_record_expires_under_many_calls(store: &AnyStore) {
    for round in 0..ROUNDS {
        let ran = Count::default();
        assert_eq!(handle(store, &ran, &Gate::opened(), round).await.unwrap(), Outcome::Executed(1));
        let gate = Gate::default();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            callers.spawn(until_it_expires(store.clone(), ran.clone(), gate.clone(), round));
        }
        let told = async {
            // The body runs until these have been refused.
            for _ in 1..CALLERS {
                let duplicate = callers.join_next().await.unwrap().unwrap();
                assert!(matches!(duplicate, Err(Error::InProgress { .. })), "{duplicate:?}");
            }
            gate.open();
            callers.join_next().await.unwrap().unwrap()
        };
        let last = tokio::time::timeout(PATIENCE, told).await.expect("one body runs");
        assert_eq!(last.unwrap(), Outcome::Executed(2));
        assert_eq!(ran.get(), 2);
    }
}

on_every_store! {
    r17_one_body_runs_where_a_record_expires_under_many_calls,
}
