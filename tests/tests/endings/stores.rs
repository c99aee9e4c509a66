//! R14 and `on_store_error`: a store that fails at the claim or at the completion.

use idem_runtime::{Error, idempotent};
use idem_tests::Count;
use idem_tests::probe::{Asked, Fault, Probe};

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
