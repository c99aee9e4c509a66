//! R12 and `on_error`: what a handler's error does to its key.

use std::time::Duration;

use idem_runtime::store::Leave;
use idem_runtime::{Error, MemoryStore, OnError, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure};
use serde::{Deserialize, Serialize};

use super::{Before, before};

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
    // The release is repeated in the background.
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
