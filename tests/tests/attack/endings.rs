//! Calls that end in unusual ways: their runtime ends, their caller gives up, their store panics, or a reconcile function fails.

use std::sync::Mutex;
use std::time::Duration;

use idem_runtime::protocol::{self, Operation, Reply};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Leave, Owner, Record, ReleaseRequest, RenewRequest, Standing,
};
use idem_runtime::{Claim, Error, IdempotencyStore, MemoryStore, Previous, StoreError, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Failure, Gate};

use super::key;

#[tokio::test]
async fn r13_a_reconcile_function_is_told_the_fence_of_the_call_that_died() {
    static SEEN: Mutex<Vec<Previous>> = Mutex::new(Vec::new());

    async fn find_out(claim: &Claim) -> Result<Option<u64>, Failure> {
        let mut seen = SEEN.lock().unwrap();
        seen.push(claim.previous());
        if seen.len() == 1 { Err(Failure::Declined) } else { Ok(None) }
    }

    #[idempotent(key = "id", store = store, on_crash = find_out, claim = claim, scope = "attack-r13-1")]
    async fn handle(store: &MemoryStore, fence: &Mutex<u64>, id: u32, die: bool) -> Result<u64, Failure> {
        *fence.lock().unwrap() = claim.fence();
        if die {
            std::future::pending::<()>().await;
        }
        Ok(1)
    }

    let (store, fence) = (MemoryStore::new(), Mutex::new(0));
    drop(tokio::time::timeout(Duration::ZERO, handle(&store, &fence, 1, true)).await);
    let died = *fence.lock().unwrap();
    // The function fails once. The body didn't run under this claim, so the next call is told of the one that died.
    handle(&store, &fence, 1, false).await.unwrap_err();
    handle(&store, &fence, 1, false).await.unwrap();
    let crash = Previous::AfterCrash { fence: died };
    assert_eq!(*SEEN.lock().unwrap(), [crash, crash]);
}

#[tokio::test]
async fn a_handler_with_a_reconcile_function_can_be_spawned() {
    async fn find_out(_: &Claim) -> Result<Option<u32>, Failure> {
        tokio::task::yield_now().await;
        Ok(None)
    }
    #[idempotent(key = "id", store = store, on_crash = find_out, scope = "attack-spawn-1")]
    async fn by_path(store: &MemoryStore, id: u32) -> Result<u32, Failure> {
        Ok(id)
    }
    #[idempotent(key = "id", store = store, on_crash = async |claim: &Claim| { find_out(claim).await }, scope = "attack-spawn-2")]
    async fn by_closure(store: &MemoryStore, id: u32) -> Result<u32, Failure> {
        Ok(id)
    }
    #[idempotent(key = "id", store = store, on_crash = async |claim| find_out(claim).await.map(|_| Some(*found)), scope = "attack-spawn-3")]
    async fn by_closure_over_a_reference(store: &MemoryStore, found: &u32, id: u32) -> Result<u32, Failure> {
        if *found == 0 {
            std::future::pending::<()>().await;
        }
        Ok(id + found)
    }
    let store = MemoryStore::new();
    let [other, third] = [store.clone(), store.clone()];
    assert_eq!(tokio::spawn(async move { by_path(&store, 1).await.unwrap() }).await.unwrap(), 1);
    assert_eq!(tokio::spawn(async move { by_closure(&other, 1).await.unwrap() }).await.unwrap(), 1);
    let cancelled = by_closure_over_a_reference(&third, &0, 1);
    assert!(tokio::time::timeout(Duration::ZERO, cancelled).await.is_err());
    let found = tokio::spawn(async move { by_closure_over_a_reference(&third, &2, 1).await.unwrap() });
    assert_eq!(found.await.unwrap(), 2);
}

#[idempotent(key = "id", store = store, lease = "300s")]
async fn on_runtime(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
    gate.pass().await;
    Ok(id)
}

fn waits_for(store: &Probe, asked: Asked) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.until(asked, 1));
}

#[test]
fn r13_a_body_that_ends_with_its_runtime_leaves_its_key_at_once() {
    for workers in [0, 2] {
        let store = Probe::on_runtime();
        let runtime = match workers {
            0 => tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            _ => tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap(),
        };
        let gate = Gate::default();
        let (store_2, gate_2) = (store.clone(), gate.clone());
        runtime.spawn(async move { on_runtime(&store_2, gate_2, 1).await });
        runtime.block_on(gate.started());
        drop(runtime);
        waits_for(&store, Asked::Release(Leave::OutcomeUnknown));
    }
}

#[test]
fn r13_a_result_is_recorded_though_the_runtime_ends() {
    let store = Probe::on_runtime();
    store.fail(Asked::Complete, Fault::RequestLost);
    store.fail(Asked::Complete, Fault::RequestLost);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store_2 = store.clone();
    runtime.spawn(async move { on_runtime(&store_2, Gate::opened(), 2).await });
    runtime.block_on(store.until(Asked::Complete, 1));
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(store.until(Asked::Complete, 3));
    assert_eq!(runtime.block_on(on_runtime(&store, Gate::default(), 2)).unwrap(), 2);
}

/// A store that panics at each request, as one does whose lock is poisoned.
#[derive(Clone)]
struct Poisoned;

impl IdempotencyStore for Poisoned {
    async fn claim(&self, _: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        panic!("poisoned: claim")
    }
    async fn renew(&self, _: RenewRequest<'_>) -> Result<Standing, StoreError> {
        panic!("poisoned: renew")
    }
    async fn complete(&self, _: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        panic!("poisoned: complete")
    }
    async fn release(&self, _: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        panic!("poisoned: release")
    }
    fn needs_runtime(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_store_that_panics_does_not_abort_the_process() {
    #[idempotent(key = "1", store = Poisoned, scope = "attack-poisoned")]
    async fn handle() -> Result<u32, Error> {
        Ok(1)
    }
    let ended = tokio::spawn(handle()).await;
    assert!(ended.unwrap_err().is_panic());
}

#[test]
fn r09_a_caller_that_left_is_remembered_though_the_row_is_about_to_be_swept() {
    let key = key("k");
    let lease = Duration::from_secs(1);
    let request = |owner| {
        let mut request = ClaimRequest::new("s", &key, Owner([owner; 16]), lease);
        request.retain = Some(Duration::from_secs(1));
        request
    };
    let mut now = 1_000_000_000;
    let first = request(1);
    let next = protocol::step(None, Operation::Claim(&first), now);
    let Reply::Acquired(grant) = next.reply else { panic!("{next:?}") };
    let record = Record::from_bytes(b"r");
    let complete = CompleteRequest::new(&first, grant.fence, &record, Duration::from_secs(1));
    let row = protocol::step(next.row.as_ref(), Operation::Complete(&complete), now).row.unwrap();
    // Just before the row is swept, another caller gives up while its claim is still on the way to the store.
    now = row.purge_at.unwrap() - 1;
    let second = request(2);
    let release = ReleaseRequest::new(&second, 0, Leave::NotRun);
    let row = protocol::step(Some(&row), Operation::Release(&release), now).row.unwrap();
    now += 1;
    let row = (!row.is_sweepable(now)).then_some(row);
    let late = protocol::step(row.as_ref(), Operation::Claim(&second), now);
    assert_eq!(late.reply, Reply::Ended);
}
