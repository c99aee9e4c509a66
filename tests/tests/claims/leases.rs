//! R6: when a lease is renewed, and when its loss drops the body.

use std::sync::Arc;
use std::time::Duration;

use idem_runtime::store::{Leave, Standing};
use idem_runtime::{Error, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Gate};
use tokio::sync::Notify;

#[idempotent(key = "id", store = store, lease = "600ms")]
async fn short_lease(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
    gate.pass().await;
    Ok(id)
}

#[tokio::test]
async fn r06_a_lease_is_renewed_while_the_body_runs() {
    let (store, gate) = (Probe::new(), Gate::default());
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { short_lease(&store, gate, 1).await }
    });
    // When the fifth renewal is sent, more than one and a half leases have passed.
    store.until(Asked::Renew, 5).await;
    let duplicate = short_lease(&store, Gate::default(), 1).await;
    assert!(matches!(duplicate, Err(Error::InProgress { .. })), "{duplicate:?}");
    gate.open();
    assert_eq!(running.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn r06_a_renewal_without_an_answer_is_tried_again() {
    let (store, gate) = (Probe::new(), Gate::default());
    store.fail(Asked::Renew, Fault::RequestLost).fail(Asked::Renew, Fault::Hangs).fail(Asked::Renew, Fault::Refused);
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { short_lease(&store, gate, 1).await }
    });
    store.until(Asked::Renew, 5).await;
    gate.open();
    assert_eq!(running.await.unwrap().unwrap(), 1, "the body went on");
}

#[tokio::test]
async fn r06_only_lost_drops_the_body() {
    struct Dropped(Arc<Notify>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }

    #[idempotent(key = "id", store = store, lease = "600ms", scope = "claims-r06-1")]
    async fn handle(store: &Probe, guard: Dropped, id: u32) -> Result<u32, Error> {
        std::future::pending::<()>().await;
        drop(guard);
        Ok(id)
    }

    let (store, dropped) = (Probe::new(), Arc::new(Notify::new()));
    store.fail(Asked::Renew, Fault::Says(Standing::Lost));
    let error = handle(&store, Dropped(Arc::clone(&dropped)), 1).await.unwrap_err();
    assert!(matches!(error, Error::LeaseLost { .. }), "{error}");
    assert!(error.executed());
    dropped.notified().await;
}

#[tokio::test]
async fn r06_a_body_starts_only_within_its_lease() {
    #[idempotent(key = "id", store = store, lease = "200ms", scope = "claims-r06-2")]
    async fn handle(store: &Probe, ran: Count, id: u32) -> Result<u32, Error> {
        ran.up();
        Ok(id)
    }

    let (store, ran) = (Probe::new(), Count::default());
    for _ in 0..3 {
        store.fail(Asked::Claim, Fault::Slow(Duration::from_millis(250)));
    }
    let error = handle(&store, ran.clone(), 1).await.unwrap_err();
    assert!(!error.executed(), "{error}");
    assert_eq!(ran.get(), 0);
    store.until(Asked::Release(Leave::NotRun), 1).await;
    assert_eq!(handle(&store, ran.clone(), 1).await.unwrap(), 1, "what it was granted is undone");
}

#[tokio::test]
async fn r06_the_lease_is_renewed_though_the_body_uses_up_its_budget() {
    #[idempotent(key = "id", store = store, lease = "300ms")]
    async fn busy(store: &Probe, id: u32) -> Result<u32, Error> {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let end = std::time::Instant::now() + Duration::from_millis(900);
        while std::time::Instant::now() < end {
            // Enough operations to use up Tokio's coop budget at each poll.
            for _ in 0..1000 {
                sender.send(()).unwrap();
                receiver.recv().await;
            }
        }
        Ok(id)
    }

    let store = Probe::new();
    assert_eq!(busy(&store, 1).await.unwrap(), 1);
    assert!(store.count(Asked::Renew) >= 3, "{:?}", store.asked());
}

#[test]
fn r06_a_sync_bodys_lease_is_renewed_too() {
    #[idempotent(key = "id", store = store, lease = "300ms")]
    fn blocking(store: &Probe, id: u32) -> Result<u32, Error> {
        let end = std::time::Instant::now() + Duration::from_secs(10);
        while store.count(Asked::Renew) < 4 && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(id)
    }

    for store in [Probe::new(), Probe::on_runtime()] {
        assert_eq!(blocking(&store, 1).unwrap(), 1);
        assert!(store.count(Asked::Renew) >= 4);
    }
}
