//! R7: what a holder that lost its lease or its row is told.

use idem_runtime::store::{Leave, Standing};
use idem_runtime::{Error, IdempotencyAdmin, idempotent};
use idem_tests::log::Log;
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Failure, Gate};

use super::gated;

#[tokio::test]
async fn r07_a_holder_that_lost_its_lease_cannot_complete() {
    let (store, gate) = (Probe::new(), Gate::default());
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { gated(&store, gate, 1).await }
    });
    gate.started().await;
    let admin: &dyn IdempotencyAdmin = store.inner();
    let key = &admin.list(idem_runtime::admin::Filter::all()).await.unwrap()[0];
    admin.forget(&key.scope, &key.key).await.unwrap();
    gate.open();
    let error = running.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error}");
    assert!(error.executed() && error.is_retryable());
    assert_eq!(gated(&store, Gate::opened(), 1).await.unwrap(), 1, "the key is free");
}

#[tokio::test]
async fn r07_a_sync_holder_learns_of_it_at_its_completion() {
    #[idempotent(key = "id", store = store, scope = "claims-r07-1")]
    fn handle(store: &Probe, id: u32) -> Result<u32, Error> {
        Ok(id)
    }

    let store = Probe::new();
    store.fail(Asked::Complete, Fault::Says(Standing::Lost));
    let error = tokio::task::spawn_blocking(move || handle(&store, 1)).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }) && error.executed(), "{error}");
}

/// A holder whose row is gone has lost its lease. The error and the log say what can have removed the row.
#[tokio::test]
async fn r07_a_holder_whose_row_is_gone_is_told_what_can_take_it() {
    #[idempotent(key = "id", store = store, lease = "300ms", scope = "claims-r07-gone")]
    async fn handle(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(id)
    }

    for (asked, gate) in [(Asked::Renew, Gate::default()), (Asked::Complete, Gate::opened())] {
        let (store, log) = (Probe::new(), Log::default());
        let _logged = tracing::subscriber::set_default(log.clone());
        store.fail(asked, Fault::Says(Standing::Gone));
        let error = handle(&store, gate, 1).await.unwrap_err();
        assert!(matches!(error, Error::LeaseLost { row_gone: true, .. }), "{asked:?}: {error}");
        assert!(error.executed() && error.is_retryable());
        let (message, warning) = (error.to_string(), log.take());
        for cause in ["evict", "flush", "failover", "lease and ttl"] {
            assert!(message.contains(cause), "{cause} is not in: {message}");
            assert_eq!(warning.matches(cause).count(), 1, "{cause}: {warning}");
        }
    }
}

/// A store that can't tell whether the row is still there answers `Lost`. The error then doesn't claim that the row is gone.
#[tokio::test]
async fn r07_a_holder_that_lost_its_key_to_another_is_told_so() {
    #[idempotent(key = "id", store = store, scope = "claims-r07-lost")]
    async fn handle(store: &Probe, id: u32) -> Result<u32, Error> {
        Ok(id)
    }

    let store = Probe::new();
    store.fail(Asked::Complete, Fault::Says(Standing::Lost));
    let error = handle(&store, 1).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { row_gone: false, .. }), "{error}");
    assert!(error.to_string().contains("another call took the key") && !error.to_string().contains("evict"), "{error}");
}

/// A caller whose handler failed gets the handler's error. Only the log says that the row was gone.
#[tokio::test]
async fn r07_a_row_that_is_gone_at_a_release_is_logged() {
    #[idempotent(key = "id", store = store, scope = "claims-r07-release")]
    async fn handle(store: &Probe, id: u32) -> Result<u32, Failure> {
        Err(Failure::Declined)
    }

    let (store, log) = (Probe::new(), Log::default());
    let _logged = tracing::subscriber::set_default(log.clone());
    store.fail(Asked::Release(Leave::Failed), Fault::Says(Standing::Gone));
    assert!(matches!(handle(&store, 1).await, Err(Failure::Declined)));
    assert!(log.take().contains("failover"));
}

/// The caller was dropped, and the completion goes on in the background. The log says that the row was gone.
#[tokio::test]
async fn r07_a_row_that_is_gone_at_a_completion_in_the_background_is_logged() {
    #[idempotent(key = "id", store = store, scope = "claims-r07-background")]
    async fn handle(store: &Probe, id: u32) -> Result<u32, Error> {
        Ok(id)
    }

    let (store, log) = (Probe::new(), Log::default());
    let _logged = tracing::subscriber::set_default(log.clone());
    store.fail(Asked::Complete, Fault::Hangs).fail(Asked::Complete, Fault::Says(Standing::Gone));
    {
        let mut call = Box::pin(handle(&store, 1));
        tokio::select! {
            _ = &mut call => panic!("the completion has no answer"),
            () = store.until(Asked::Complete, 1) => {}
        }
    }
    store.until(Asked::Complete, 2).await;
    tokio::task::yield_now().await;
    assert!(log.take().contains("failover"));
}
