//! R8, R9 and R11: fences, requests whose answers are lost, the number of round trips; and the claim that a body sees.

use std::time::Duration;

use idem_runtime::store::Leave;
use idem_runtime::{Claim, Error, IdempotencyAdmin, MemoryStore, Previous, idempotent, with_store};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Failure, Gate};

use super::gated;

#[tokio::test]
async fn r08_fences_only_ever_grow() {
    #[idempotent(key = "id", store = store, ttl = "50ms", lease = "50ms", claim = claim)]
    async fn fence(store: &MemoryStore, id: u32) -> Result<u64, Error> {
        Ok(claim.fence())
    }

    let store = MemoryStore::new();
    let mut last = 0;
    for round in 0..6 {
        let fence = fence(&store, 1).await.unwrap();
        assert!(fence > last, "round {round}: {fence} after {last}");
        last = fence;
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(60)).await;
        } else {
            let entry = &store.list(idem_runtime::admin::Filter::all()).await.unwrap()[0];
            store.forget(&entry.scope, &entry.key).await.unwrap();
        }
        store.sweep(usize::MAX).await.unwrap();
    }
}

#[tokio::test]
async fn r09_a_claim_that_is_given_up_claims_for_nobody() {
    let store = Probe::new();
    for _ in 0..3 {
        store.fail(Asked::Claim, Fault::AnswerLost);
    }
    let error = gated(&store, Gate::default(), 1).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }) && error.is_retryable() && !error.executed(), "{error}");
    store.until(Asked::Release(Leave::NotRun), 1).await;
    assert_eq!(gated(&store, Gate::opened(), 1).await.unwrap(), 1, "the key is free, and nothing is in doubt");
}

#[tokio::test]
async fn r09_an_ending_is_repeated_until_it_is_answered() {
    let (store, gate) = (Probe::new(), Gate::opened());
    store.fail(Asked::Complete, Fault::AnswerLost).fail(Asked::Complete, Fault::AnswerLost);
    assert_eq!(gated(&store, gate, 1).await.unwrap(), 1);
    assert_eq!(gated(&store, Gate::default(), 1).await.unwrap(), 1, "replayed");
}

#[tokio::test]
async fn r11_round_trips() {
    #[idempotent(key = "id", store = store, on_crash = "park", scope = "claims-r11-1")]
    async fn handle(store: &Probe, gate: Option<Gate>, id: u32) -> Result<u32, Error> {
        if let Some(gate) = gate {
            gate.pass().await;
        }
        Ok(id)
    }

    let store = Probe::new();
    handle(&store, None, 1).await.unwrap();
    assert_eq!(store.asked(), [Asked::Claim, Asked::Complete], "a first execution: two");
    store.reset();
    handle(&store, None, 1).await.unwrap();
    assert_eq!(store.asked(), [Asked::Claim], "a duplicate: one");

    let gate = Gate::default();
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { handle(&store, Some(gate), 2).await }
    });
    gate.started().await;
    store.reset();
    handle(&store, None, 2).await.unwrap_err();
    assert_eq!(store.asked(), [Asked::Claim], "one in flight: one");
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    store.reset();
    handle(&store, None, 2).await.unwrap_err();
    assert_eq!(store.asked(), [Asked::Claim], "a parked one: one");
}

#[tokio::test]
async fn the_body_sees_its_claim() {
    #[idempotent(key = "tenant, id", store = store, scope = "claims-seen", claim = claim)]
    async fn handle(store: &MemoryStore, tenant: &str, id: u32, fail: bool) -> Result<String, Failure> {
        let claim: &Claim = claim;
        assert_eq!(claim.scope(), "claims-seen");
        let key = claim.key().to_string();
        if fail {
            assert_eq!((claim.attempt(), claim.previous()), (1, Previous::First));
            return Err(Failure::Declined);
        }
        assert_eq!((claim.attempt(), claim.previous()), (2, Previous::AfterFailure));
        Ok(format!("{key} {}", claim.derive("charge")))
    }

    let store = MemoryStore::new();
    handle(&store, "t", 1, true).await.unwrap_err();
    let first = handle(&store, "t", 1, false).await.unwrap();
    handle(&store, "t", 2, true).await.unwrap_err();
    let other = handle(&store, "t", 2, false).await.unwrap();
    assert_ne!(first.split(' ').nth(1), other.split(' ').nth(1));
    let again = with_store(store.clone(), handle(&store, "t", 1, false)).await.unwrap();
    assert_eq!(first, again);
}
