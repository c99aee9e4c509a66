//! R1 to R5: what racers and duplicates of a key get.

use std::sync::Arc;
use std::time::Duration;

use idem_runtime::{Error, MemoryStore, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Gate};
use tokio::sync::Barrier;

use super::gated;

#[tokio::test]
async fn r01_key_and_fingerprint_are_computed_once_before_the_body() {
    fn counted(count: &Count, id: &str) -> String {
        count.up();
        id.to_owned()
    }

    #[idempotent(key = counted(keys, &id), fingerprint = counted(prints, &id), store = store, scope = "claims-r01-1")]
    async fn handle(store: &MemoryStore, keys: &Count, prints: &Count, mut id: String) -> Result<String, Error> {
        id.push_str("-changed");
        Ok(id)
    }

    let (store, keys, prints) = (MemoryStore::new(), Count::default(), Count::default());
    let first = handle(&store, &keys, &prints, "a".to_owned()).await.unwrap();
    let again = handle(&store, &keys, &prints, "a".to_owned()).await.unwrap();
    assert_eq!((first.as_str(), again.as_str()), ("a-changed", "a-changed"));
    assert_eq!((keys.get(), prints.get()), (2, 2), "once a call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r02_of_many_racers_exactly_one_runs() {
    #[idempotent(key = "id", store = store, wait = "10s", scope = "claims-r02-1")]
    async fn handle(store: &MemoryStore, ran: Count, id: u32) -> Result<u32, Error> {
        let turn = ran.up();
        tokio::task::yield_now().await;
        Ok(turn)
    }

    let store = MemoryStore::new();
    for id in 0..50 {
        let (ran, barrier) = (Count::default(), Arc::new(Barrier::new(32)));
        let racers: Vec<_> = (0..32)
            .map(|_| {
                let (store, ran, barrier) = (store.clone(), ran.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    handle(&store, ran, id).await
                })
            })
            .collect();
        for racer in racers {
            assert_eq!(racer.await.unwrap().unwrap(), 1, "everybody gets the one result");
        }
        assert_eq!(ran.get(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r02_of_many_racers_on_an_orphan_exactly_one_runs() {
    #[idempotent(key = "id", store = store, wait = "10s", scope = "claims-r02-2")]
    async fn handle(store: &MemoryStore, ran: Count, id: u32, die: bool) -> Result<u32, Error> {
        let turn = ran.up();
        if die {
            std::future::pending::<()>().await;
        }
        Ok(turn)
    }

    let store = MemoryStore::new();
    for id in 0..50 {
        let ran = Count::default();
        drop(tokio::time::timeout(Duration::ZERO, handle(&store, ran.clone(), id, true)).await);
        let racers: Vec<_> = (0..16)
            .map(|_| {
                let (store, ran) = (store.clone(), ran.clone());
                tokio::spawn(async move { handle(&store, ran, id, false).await })
            })
            .collect();
        for racer in racers {
            assert_eq!(racer.await.unwrap().unwrap(), 2);
        }
        assert_eq!(ran.get(), 2, "one died, one took over");
    }
}

#[tokio::test]
async fn r03_a_duplicate_of_a_running_key_is_told_the_remaining_lease() {
    let (store, gate) = (Probe::new(), Gate::default());
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { gated(&store, gate, 1).await }
    });
    gate.started().await;
    let error = gated(&store, Gate::default(), 1).await.unwrap_err();
    let Error::InProgress { retry_after, .. } = error else { panic!("{error}") };
    assert!(retry_after > Duration::from_secs(15) && retry_after <= Duration::from_secs(20), "{retry_after:?}");
    assert!(error.is_retryable() && !error.executed());
    assert_eq!(error.retry_after(), Some(retry_after));
    gate.open();
    assert_eq!(running.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn r03_a_duplicate_waits_for_the_result() {
    #[idempotent(key = "id", store = store, wait = "30s")]
    async fn patient(store: &MemoryStore, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(id)
    }

    let (store, gate) = (MemoryStore::new(), Gate::default());
    let call = |gate: &Gate| {
        let (store, gate) = (store.clone(), gate.clone());
        tokio::spawn(async move { patient(&store, gate, 7).await })
    };
    let running = call(&gate);
    gate.started().await;
    let waiting = call(&Gate::default());
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    gate.open();
    assert_eq!(running.await.unwrap().unwrap(), 7);
    let replayed = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("woken by the completion");
    assert_eq!(replayed.unwrap().unwrap(), 7);
}

#[tokio::test]
async fn r03_a_waiter_that_meets_a_parked_key_is_told_at_once() {
    #[idempotent(key = "id", store = store, wait = "1h", on_crash = "park")]
    async fn parked(store: &Probe, id: u32) -> Result<u32, Error> {
        std::future::pending::<()>().await;
        Ok(id)
    }

    let store = Probe::new();
    drop(tokio::time::timeout(Duration::from_millis(20), parked(&store, 1)).await);
    let error = parked(&store, 1).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error}");
    assert!(!error.executed());
}

#[tokio::test]
async fn r05_the_body_runs_once_however_often_the_store_is_asked() {
    #[idempotent(key = "id", store = store, scope = "claims-r05-1")]
    async fn handle(store: &Probe, ran: Count, id: u32) -> Result<u32, Error> {
        ran.up();
        Ok(id)
    }

    let (store, ran) = (Probe::new(), Count::default());
    store.fail(Asked::Claim, Fault::RequestLost).fail(Asked::Claim, Fault::AnswerLost);
    store.fail(Asked::Complete, Fault::RequestLost).fail(Asked::Complete, Fault::AnswerLost);
    assert_eq!(handle(&store, ran.clone(), 1).await.unwrap(), 1);
    assert_eq!((store.count(Asked::Claim), store.count(Asked::Complete)), (3, 3));
    assert_eq!(ran.get(), 1);
}
