//! R12 to R17: endings.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::store::Leave;
use idem_runtime::{Claim, Error, IdempotencyAdmin, MemoryStore, OnError, Outcome, Previous, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure, Gate};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

async fn replays<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug + Clone>(value: T) {
    #[idempotent(key = "1", scope = "endings-replays", store = store)]
    async fn handle<T: Serialize + DeserializeOwned>(
        store: &MemoryStore,
        ran: &Count,
        value: Option<T>,
    ) -> Result<Outcome<T>, Error> {
        ran.up();
        Ok(value.expect("the body runs once").into())
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    let first = handle(&store, &ran, Some(value.clone())).await.unwrap();
    assert_eq!(first, Outcome::Executed(value.clone()));
    let again = handle::<T>(&store, &ran, None).await.unwrap();
    assert_eq!(again, Outcome::Replayed(value));
    assert_eq!(ran.get(), 1);
}

#[tokio::test]
async fn r04_every_result_is_replayed_alike() {
    replays(()).await;
    replays(None::<u8>).await;
    replays(Some(None::<u8>)).await;
    replays(Some(())).await;
    replays(false).await;
    replays(0_u8).await;
    replays(f64::INFINITY).await;
    replays(f64::NEG_INFINITY).await;
    replays(f32::MIN_POSITIVE).await;
    replays(String::new()).await;
    replays(Vec::<String>::new()).await;
    replays(HashMap::from([((1_u8, "a".to_owned()), vec![Some(None), None, Some(Some(3_i8))])])).await;
    replays(BTreeMap::from([(Some(1_i64), u128::MAX), (None, 0)])).await;
    replays("x".repeat(100_000)).await;
}

/// What a body is told of the last holder.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Before {
    Nobody,
    Failed,
    Crashed,
}

fn before(claim: &Claim) -> Before {
    match claim.previous() {
        Previous::First => Before::Nobody,
        Previous::AfterFailure => Before::Failed,
        Previous::AfterCrash { .. } => Before::Crashed,
    }
}

#[idempotent(key = "id", store = store, claim = claim)]
async fn failing(store: &Probe, id: u32, fail: bool) -> Result<(u32, Before), Failure> {
    if fail { Err(Failure::Declined) } else { Ok((claim.attempt(), before(claim))) }
}

#[tokio::test]
async fn r12_an_error_frees_the_key_at_once_and_is_remembered() {
    let store = Probe::new();
    assert!(matches!(failing(&store, 1, true).await, Err(Failure::Declined)));
    assert_eq!(store.asked(), [Asked::Claim, Asked::Release(Leave::Failed)]);
    assert_eq!(failing(&store, 1, false).await.unwrap(), (2, Before::Failed));
}

#[tokio::test]
async fn r12_the_caller_sees_its_own_error_though_the_release_fails() {
    let store = Probe::new();
    store.fail(Asked::Release(Leave::Failed), Fault::RequestLost);
    assert!(matches!(failing(&store, 1, true).await, Err(Failure::Declined)));
    // Tried again in the background.
    store.until(Asked::Release(Leave::Failed), 2).await;
    assert_eq!(failing(&store, 1, false).await.unwrap(), (2, Before::Failed));
}

#[tokio::test]
async fn on_error_keep_holds_the_key_until_its_lease_ends() {
    #[idempotent(key = "id", store = store, on_error = "keep", lease = "800ms", claim = claim, scope = "endings-on_error_keep-1")]
    async fn handle(store: &MemoryStore, id: u32, fail: bool) -> Result<Before, Failure> {
        if fail { Err(Failure::Declined) } else { Ok(before(claim)) }
    }

    let store = MemoryStore::new();
    handle(&store, 1, true).await.unwrap_err();
    let error = handle(&store, 1, false).await.unwrap_err().refusal();
    let Error::InProgress { retry_after, .. } = error else { panic!("{error}") };
    tokio::time::sleep(retry_after + Duration::from_millis(5)).await;
    assert_eq!(handle(&store, 1, false).await.unwrap(), Before::Crashed);
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Refusal {
    Final(String),
    Passing,
    Library(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Library(error.to_string())
    }
}

#[tokio::test]
async fn on_error_record_replays_the_error() {
    #[idempotent(key = "id", store = store, on_error = "record", scope = "endings-on_error_record-1")]
    async fn handle(store: &MemoryStore, ran: &Count, id: u32) -> Result<u32, Refusal> {
        ran.up();
        Err(Refusal::Final("no funds".to_owned()))
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    for _ in 0..3 {
        assert_eq!(handle(&store, &ran, 1).await, Err(Refusal::Final("no funds".to_owned())));
    }
    assert_eq!(ran.get(), 1);
}

#[tokio::test]
async fn on_error_record_if_records_what_is_final() {
    fn is_final(error: &Refusal) -> bool {
        matches!(error, Refusal::Final(_))
    }

    #[idempotent(key = "id", store = store, on_error = record_if(is_final), scope = "endings-on_error_record-2")]
    async fn handle(store: &MemoryStore, ran: &Count, id: u32) -> Result<u32, Refusal> {
        if ran.up() == 1 { Err(Refusal::Passing) } else { Err(Refusal::Final("no".to_owned())) }
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    assert_eq!(handle(&store, &ran, 1).await, Err(Refusal::Passing));
    assert_eq!(handle(&store, &ran, 1).await, Err(Refusal::Final("no".to_owned())));
    assert_eq!(handle(&store, &ran, 1).await, Err(Refusal::Final("no".to_owned())));
    assert_eq!(ran.get(), 2);
}

#[tokio::test]
async fn on_error_asks_a_function() {
    fn decide(error: &Refusal) -> OnError {
        if *error == Refusal::Passing { OnError::Release } else { OnError::Keep }
    }

    #[idempotent(key = "id", store = store, on_error = decide, scope = "endings-on_error_asks-1")]
    async fn handle(store: &MemoryStore, ran: &Count, id: u32) -> Result<u32, Refusal> {
        if ran.up() == 1 { Err(Refusal::Passing) } else { Err(Refusal::Final("no".to_owned())) }
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    assert_eq!(handle(&store, &ran, 1).await, Err(Refusal::Passing));
    assert_eq!(handle(&store, &ran, 1).await, Err(Refusal::Final("no".to_owned())));
    assert!(matches!(handle(&store, &ran, 1).await, Err(Refusal::Library(_))));
    assert_eq!(ran.get(), 2);
}

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
    assert_eq!(store.count(Asked::Release(Leave::NotRun)), 1, "an `Err` of the function leaves the doubt");
    assert!(matches!(handle(&store, &ran, 3, false).await, Err(Failure::Declined)));
    assert_eq!(ran.get(), 4);
}

#[tokio::test]
async fn r14_a_store_that_fails_at_the_claim_runs_nothing() {
    #[idempotent(key = "id", store = store, scope = "endings-r14-1")]
    async fn handle(store: &Probe, ran: &Count, id: u32) -> Result<u32, Error> {
        Ok(ran.up())
    }

    let (store, ran) = (Probe::new(), Count::default());
    store.fail(Asked::Claim, Fault::Refused);
    let error = handle(&store, &ran, 1).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }) && !error.executed() && error.is_retryable(), "{error}");
    assert!(std::error::Error::source(&error).is_some());
    assert_eq!(ran.get(), 0);
}

#[tokio::test]
async fn r14_a_completion_that_fails_is_tried_again_while_the_lease_holds() {
    #[idempotent(key = "id", store = store, lease = "400ms", scope = "endings-r14-2")]
    async fn handle(store: &Probe, ran: &Count, id: u32) -> Result<u32, Error> {
        Ok(ran.up())
    }

    let (store, ran) = (Probe::new(), Count::default());
    for _ in 0..1000 {
        store.fail(Asked::Complete, Fault::RequestLost);
    }
    let error = handle(&store, &ran, 1).await.unwrap_err();
    assert!(matches!(error, Error::NotRecorded { .. }) && error.executed() && error.is_retryable(), "{error}");
    assert!(store.count(Asked::Complete) > 2);
    assert_eq!(ran.get(), 1);
}

#[tokio::test]
async fn on_store_error_run_runs_without_protection() {
    #[idempotent(key = "id", store = store, on_store_error = "run", claim = claim, scope = "endings-on_store_error-1")]
    async fn handle(store: &Probe, id: u32) -> Result<u64, Error> {
        Ok(claim.fence())
    }

    let store = Probe::new();
    store.fail(Asked::Claim, Fault::Refused);
    assert_eq!(handle(&store, 1).await.unwrap(), 0);
    assert_ne!(handle(&store, 1).await.unwrap(), 0, "protected again");
}

#[tokio::test]
async fn r15_a_result_that_cannot_be_kept_is_a_completed_key() {
    /// serde refuses it.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unencodable;
    impl Serialize for Unencodable {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    #[idempotent(key = "id", store = store)]
    async fn unencodable(store: &Probe, ran: &Count, id: u32) -> Result<Unencodable, Error> {
        ran.up();
        Ok(Unencodable)
    }

    #[idempotent(key = "id", store = store)]
    async fn too_large(store: &Probe, ran: &Count, id: u32) -> Result<String, Error> {
        ran.up();
        Ok("x".repeat(5000))
    }

    let (store, ran) = (Probe::new(), Count::default());
    assert_eq!(unencodable(&store, &ran, 1).await.unwrap(), Unencodable);
    assert!(matches!(unencodable(&store, &ran, 1).await, Err(Error::ResultUnavailable { .. })));
    assert_eq!(too_large(&store, &ran, 1).await.unwrap().len(), 5000);
    assert!(matches!(too_large(&store, &ran, 1).await, Err(Error::ResultUnavailable { .. })));
    assert_eq!(ran.get(), 2);
}

#[tokio::test]
async fn r16_a_field_can_be_added_and_a_changed_type_is_an_error() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Old {
        id: u32,
        dropped: String,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New {
        id: u64,
        #[serde(default)]
        added: Option<u8>,
    }

    /// The handler before and after a deploy.
    #[idempotent(key = "1", scope = "endings-deploy", store = store)]
    async fn handle<T: Serialize + DeserializeOwned>(store: &MemoryStore, value: T) -> Result<T, Error> {
        Ok(value)
    }

    let store = MemoryStore::new();
    handle(&store, Old { id: 7, dropped: "secret".to_owned() }).await.unwrap();
    assert_eq!(handle(&store, New { id: 8, added: Some(1) }).await.unwrap(), New { id: 7, added: None });
    let error = handle(&store, vec![1_u8]).await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }) && !error.executed(), "{error}");
    assert!(error.to_string().contains("endings-deploy"), "{error}");
}

#[tokio::test]
async fn r17_ttl_counts_from_the_completion() {
    #[idempotent(key = "id", store = store, ttl = "900ms", lease = "900ms", scope = "endings-r17-1")]
    async fn handle(store: &MemoryStore, ran: &Count, id: u32) -> Result<u32, Error> {
        let turn = ran.up();
        tokio::time::sleep(Duration::from_millis(1000)).await;
        Ok(turn)
    }

    let (store, ran) = (MemoryStore::new(), Count::default());
    assert_eq!(handle(&store, &ran, 1).await.unwrap(), 1);
    assert_eq!(handle(&store, &ran, 1).await.unwrap(), 1, "remembered, though it was claimed longer ago than its ttl");
    tokio::time::sleep(Duration::from_millis(910)).await;
    assert_eq!(handle(&store, &ran, 1).await.unwrap(), 2, "forgotten, though nobody swept");
}
