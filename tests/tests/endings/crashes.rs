//! R13: what a panic, a cancelled call or a crash leaves, and what `on_crash` makes of it.

use std::time::Duration;

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::store::Leave;
use idem_runtime::{Claim, Error, IdempotencyAdmin, MemoryStore, Outcome, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure, Gate};

use super::{Before, before};

#[idempotent(key = "id", store = store, lease = "1h", claim = claim)]
async fn dying(store: &Probe, gate: Option<Gate>, id: u32) -> Result<(u32, Before), Error> {
    if let Some(gate) = gate {
        gate.pass().await;
        panic!("in the body");
    }
    Ok((claim.attempt(), before(claim)))
}

#[tokio::test]
async fn r13_a_panic_ends_the_lease_at_once_and_leaves_the_outcome_unknown() {
    let store = Probe::new();
    let call = tokio::spawn({
        let store = store.clone();
        async move { dying(&store, Some(Gate::opened()), 1).await }
    });
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(store.asked(), [Asked::Claim, Asked::Release(Leave::OutcomeUnknown)]);
    assert_eq!(dying(&store, None, 1).await.unwrap(), (2, Before::Crashed));
}

#[tokio::test]
async fn r13_a_drop_in_the_body_leaves_the_outcome_unknown() {
    let (store, gate) = (Probe::new(), Gate::default());
    let call = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { dying(&store, Some(gate), 1).await }
    });
    gate.started().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(store.asked(), [Asked::Claim, Asked::Release(Leave::OutcomeUnknown)]);
    assert_eq!(dying(&store, None, 1).await.unwrap(), (2, Before::Crashed));
}

#[test]
fn r13_a_sync_bodys_panic_leaves_the_outcome_unknown() {
    #[idempotent(key = "id", store = store, claim = claim, scope = "endings-r13-1")]
    fn handle(store: &Probe, id: u32, die: bool) -> Result<Before, Error> {
        assert!(!die, "in the body");
        Ok(before(claim))
    }

    for store in [Probe::new(), Probe::on_runtime()] {
        let call = std::thread::spawn({
            let store = store.clone();
            move || handle(&store, 1, true)
        });
        assert!(call.join().is_err());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(store.until(Asked::Release(Leave::OutcomeUnknown), 1));
        assert_eq!(handle(&store, 1, false).unwrap(), Before::Crashed);
    }
}

#[tokio::test]
async fn r13_a_call_that_is_dropped_while_claiming_has_not_run() {
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail(Asked::Claim, Fault::Hangs);
        let call = tokio::spawn({
            let store = store.clone();
            async move { dying(&store, None, 1).await }
        });
        store.until(Asked::Claim, 1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        store.until(Asked::Release(Leave::NotRun), 1).await;
        assert_eq!(dying(&store, None, 1).await.unwrap(), (1, Before::Nobody));
    }
}

#[tokio::test]
async fn r13_a_call_that_is_dropped_after_its_body_is_recorded_all_the_same() {
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail(Asked::Complete, Fault::RequestLost).fail(Asked::Complete, Fault::RequestLost);
        let call = tokio::spawn({
            let store = store.clone();
            async move { dying(&store, None, 1).await }
        });
        store.until(Asked::Complete, 1).await;
        call.abort();
        store.until(Asked::Complete, 3).await;
        assert_eq!(dying(&store, None, 1).await.unwrap(), (1, Before::Nobody), "replayed");
        assert_eq!(store.count(Asked::Claim), 2);
        assert_eq!(store.count(Asked::Release(Leave::OutcomeUnknown)), 0);
    }
}

#[tokio::test]
async fn r13_a_parked_key_is_resolved_by_an_operator() {
    #[idempotent(key = "id", scope = "endings-parked", store = store, on_crash = "park")]
    async fn handle(store: &MemoryStore, id: u32, die: bool) -> Result<String, Error> {
        if die {
            std::future::pending::<()>().await;
        }
        Ok("ran".to_owned())
    }

    let store = MemoryStore::new();
    for id in [1, 2] {
        drop(tokio::time::timeout(Duration::from_millis(5), handle(&store, id, true)).await);
        let error = handle(&store, id, false).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }) && !error.is_retryable(), "{error}");
    }
    let parked = store.list(Filter::all().scope("endings-parked").orphans()).await.unwrap();
    assert_eq!(parked.len(), 2);
    let found = Resolution::executed(&"found out".to_owned(), Duration::from_secs(60)).unwrap();
    store.resolve("endings-parked", &parked[0].key, found).await.unwrap();
    store.resolve("endings-parked", &parked[1].key, Resolution::NotExecuted).await.unwrap();
    assert_eq!(handle(&store, 1, false).await.unwrap(), "found out");
    assert_eq!(handle(&store, 2, false).await.unwrap(), "ran");
}

#[tokio::test]
async fn r13_a_function_is_asked_what_became_of_the_effect() {
    async fn find_out(claim: &Claim) -> Result<Option<String>, Failure> {
        match claim.key().to_string().as_str() {
            "1" => Ok(Some("it took place".to_owned())),
            "2" => Ok(None),
            _ => Err(Failure::Declined),
        }
    }

    #[idempotent(key = "id", store = store, on_crash = find_out, scope = "endings-r13-2")]
    async fn handle(store: &Probe, ran: &Count, id: u32, die: bool) -> Result<Outcome<String>, Failure> {
        ran.up();
        if die {
            std::future::pending::<()>().await;
        }
        Ok("ran".to_owned().into())
    }

    let (store, ran) = (Probe::new(), Count::default());
    for id in [1, 2, 3] {
        drop(tokio::time::timeout(Duration::from_millis(5), handle(&store, &ran, id, true)).await);
    }
    let recorded = Outcome::Replayed("it took place".to_owned());
    assert_eq!(handle(&store, &ran, 1, false).await.unwrap(), recorded);
    assert_eq!(handle(&store, &ran, 1, false).await.unwrap(), recorded);
    assert_eq!(ran.get(), 3);
    assert_eq!(handle(&store, &ran, 2, false).await.unwrap(), Outcome::Executed("ran".to_owned()));
    assert!(matches!(handle(&store, &ran, 3, false).await, Err(Failure::Declined)));
    assert_eq!(store.count(Asked::Release(Leave::NotRun)), 1, "an `Err` of the function leaves the outcome unknown");
    assert!(matches!(handle(&store, &ran, 3, false).await, Err(Failure::Declined)));
    assert_eq!(ran.get(), 4);
}
