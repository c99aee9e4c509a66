//! Calls in one process: their leases, their waits, the order in which their arguments are evaluated, and the caller's own error.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Leave, ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
use idem_runtime::{Error, IdempotencyStore, MemoryStore, StoreError, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Failure, Gate};

#[tokio::test]
async fn r06_the_first_renewal_counts_from_the_sending_of_the_claim() {
    #[idempotent(key = "id", store = store, lease = "900ms", scope = "attack-r06-1")]
    async fn handle(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(id)
    }

    let (store, gate) = (Probe::new(), Gate::default());
    // The claim is granted at once. The answer comes when more than two thirds of the lease are over.
    store.fail(Asked::Claim, Fault::Slow(Duration::from_millis(750)));
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { handle(&store, gate, 1).await }
    });
    gate.started().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The holder is alive, and less than a third of its lease has passed since its body started.
    let rival = handle(&store, Gate::opened(), 1).await;
    assert!(matches!(rival, Err(Error::InProgress { .. })), "{rival:?}");
    gate.open();
    assert_eq!(running.await.unwrap().unwrap(), 1);
}

#[test]
fn r06_a_sync_bodys_first_renewal_counts_from_the_sending_of_the_claim() {
    #[idempotent(key = "id", store = store, lease = "900ms", scope = "attack-r06-2")]
    fn handle(store: &Probe, body: impl FnOnce(), id: u32) -> Result<u32, Error> {
        body();
        Ok(id)
    }

    let store = Probe::on_runtime();
    store.fail(Asked::Claim, Fault::Slow(Duration::from_millis(750)));
    let rival = store.clone();
    let body = || {
        std::thread::sleep(Duration::from_millis(200));
        let rival = handle(&rival, || {}, 1);
        assert!(matches!(rival, Err(Error::InProgress { .. })), "{rival:?}");
    };
    assert_eq!(handle(&store, body, 1).unwrap(), 1);
}

#[test]
fn key_and_fingerprint_are_computed_one_after_the_other() {
    struct Message {
        id: u32,
        body: String,
    }

    #[idempotent(
        key = "message.lock().unwrap().id",
        fingerprint = "message.lock().unwrap().body",
        store = "store.lock().unwrap()",
        scope = "attack-locks"
    )]
    fn handle(store: &Mutex<MemoryStore>, message: &Mutex<Message>) -> Result<u32, Error> {
        Ok(message.lock().unwrap().id)
    }

    #[idempotent(
        key = "message.lock().unwrap().id",
        fingerprint = "message.lock().unwrap().body",
        store = "store.lock().unwrap()",
        scope = "attack-locks-async"
    )]
    async fn handle_async(store: &Mutex<MemoryStore>, message: &Mutex<Message>) -> Result<u32, Error> {
        Ok(message.lock().unwrap().id)
    }

    let (done, answer) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let store = Mutex::new(MemoryStore::new());
        let message = Mutex::new(Message { id: 1, body: "a".to_owned() });
        done.send(handle(&store, &message).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        done.send(runtime.block_on(handle_async(&store, &message)).unwrap()).unwrap();
    });
    assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok(1), "sync");
    assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok(1), "async");
}

#[tokio::test]
async fn leases_shorter_than_any_timer_do_not_hang() {
    #[idempotent(key = "id", store = store, lease = "1us", ttl = "1h", scope = "attack-tiny")]
    async fn handle(store: &MemoryStore, id: u32) -> Result<u32, Error> {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok(id)
    }
    let store = MemoryStore::new();
    for id in 0..3 {
        let ended = tokio::time::timeout(Duration::from_secs(5), handle(&store, id)).await;
        println!("{ended:?}");
        assert!(ended.is_ok());
    }
}

#[tokio::test]
async fn r12_the_caller_sees_its_own_error_though_the_store_hangs() {
    #[idempotent(key = "id", store = store, lease = "1h", scope = "attack-r12-hang")]
    async fn handle(store: &Probe, id: u32) -> Result<u32, Failure> {
        Err(Failure::Declined)
    }
    let store = Probe::new();
    store.fail(Asked::Release(Leave::Failed), Fault::Hangs);
    let started = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(30), handle(&store, 1)).await;
    assert!(matches!(ended, Ok(Err(Failure::Declined))), "after {:?}", started.elapsed());
}

#[tokio::test]
async fn r03_a_waiter_outlasts_store_errors_that_are_far_apart() {
    #[idempotent(key = "id", store = store, wait = "30s", scope = "attack-wait")]
    async fn handle(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(id)
    }

    let (store, gate) = (Probe::new(), Gate::default());
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { handle(&store, gate, 1).await }
    });
    gate.started().await;
    // The waiter's wait ends again and again before the key's result is there, and one claim after each wait fails.
    let bell = store.clone();
    let ringing = tokio::spawn(async move {
        loop {
            bell.fail(Asked::Claim, Fault::RequestLost);
            let before = bell.count(Asked::Claim);
            bell.until(Asked::Claim, before + 2).await;
        }
    });
    let waiter = tokio::spawn({
        let store = Rung(store.clone());
        async move { through_rung(&store, 1).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    ringing.abort();
    gate.open();
    assert_eq!(running.await.unwrap().unwrap(), 1);
    let _ = waiter.await.unwrap().map_err(|error| panic!("{error}"));
}

#[idempotent(key = "id", store = store, wait = "30s", scope = "attack-wait-2")]
async fn through_rung(store: &Rung, id: u32) -> Result<u32, Error> {
    Ok(id)
}

/// A store that passes the waiter's claims on under the scope of the running handler, and ends each wait after 20 ms.
#[derive(Clone)]
struct Rung(Probe);

impl IdempotencyStore for Rung {
    async fn claim(&self, mut request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        request.scope = "attack-wait";
        self.0.claim(request).await
    }
    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.0.renew(request).await
    }
    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.0.complete(request).await
    }
    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        self.0.release(request).await
    }
    async fn wait(&self, _: WaitRequest<'_>) -> Result<(), StoreError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}
