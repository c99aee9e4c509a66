//! R1 to R11: claims.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use idem_runtime::protocol::{self, Operation, Reply, Row};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Leave, Record, ReleaseRequest, RenewRequest, Standing,
};
use idem_runtime::{
    Claim, Error, IdempotencyAdmin, IdempotencyStore, MemoryStore, Previous, StoreError, idempotent, with_store,
};
use idem_tests::log::Log;
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure, Gate};
use tokio::sync::{Barrier, Notify};

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

#[idempotent(key = "id", store = store, lease = "20s")]
async fn gated(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
    gate.pass().await;
    Ok(id)
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
    // The fifth is past the first lease and a half.
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
            // Enough to use up Tokio's budget at each poll.
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

/// A row that is gone is a lost lease, and error and log say what can have taken it.
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

/// A store that can't tell whether there is a row says `Lost`, and nothing is guessed from that.
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

/// A caller whose handler failed gets its own error, and the log tells of the row.
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

/// A completion in the background, whose caller has gone, tells of a lost row in the log.
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
            _ = &mut call => panic!("it hangs"),
            () = store.until(Asked::Complete, 1) => {}
        }
    }
    store.until(Asked::Complete, 2).await;
    tokio::task::yield_now().await;
    assert!(log.take().contains("failover"));
}

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

type Rows = HashMap<Vec<u8>, (Row, Option<Record>)>;

/// A store whose clock is far from this process's.
#[derive(Clone)]
struct FarClock {
    rows: Arc<Mutex<Rows>>,
    now: fn() -> u64,
}

impl FarClock {
    fn apply(&self, key: &Key, operation: Operation<'_>, new: Option<&Record>) -> (Reply, Option<Record>) {
        let mut rows = self.rows.lock().unwrap();
        let (row, record) = rows.get(key.as_bytes()).cloned().unzip();
        let next = protocol::step(row.as_ref(), operation, (self.now)());
        if let Some(row) = next.row {
            rows.insert(key.as_bytes().to_vec(), (row, new.cloned().or(record.clone().flatten())));
        }
        (next.reply, record.flatten())
    }
}

impl IdempotencyStore for FarClock {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (reply, record) = self.apply(request.key, Operation::Claim(&request), None);
        Ok(reply.into_claim(|| record))
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.key, Operation::Renew(&request), None).0.into_standing())
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.key, Operation::Complete(&request), Some(request.record)).0.into_standing())
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.key, Operation::Release(&request), None).0.into_standing())
    }
}

#[tokio::test]
async fn r10_only_the_stores_clock_decides() {
    #[idempotent(key = "id", scope = "claims-r10", store = store, lease = "900ms", ttl = "1500ms", claim = claim)]
    async fn handle(store: &FarClock, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(claim.attempt())
    }

    const DAY: u64 = 24 * 60 * 60 * 1_000_000;
    fn real() -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros().try_into().unwrap()
    }

    for now in [|| real() - DAY, || real() + DAY] {
        let store = FarClock { rows: Arc::default(), now };
        let gate = Gate::default();
        let running = tokio::spawn({
            let (store, gate) = (store.clone(), gate.clone());
            async move { handle(&store, gate, 1).await }
        });
        gate.started().await;
        // Past the first lease: it is renewed by the store's clock.
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let error = handle(&store, Gate::default(), 1).await.unwrap_err();
        assert!(error.retry_after().is_some_and(|left| left <= Duration::from_millis(900)), "{error}");
        gate.open();
        assert_eq!(running.await.unwrap().unwrap(), 1);
        assert_eq!(handle(&store, Gate::default(), 1).await.unwrap(), 1, "replayed");
        tokio::time::sleep(Duration::from_millis(1510)).await;
        assert_eq!(handle(&store, Gate::opened(), 1).await.unwrap(), 1, "forgotten, and run again");
    }
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
