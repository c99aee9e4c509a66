//! What an attacker found: each test failed once.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use idem_runtime::admin::Filter;
use idem_runtime::protocol::{self, Operation, Reply};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Leave, Owner, Record, ReleaseRequest, RenewRequest, Standing,
    WaitRequest,
};
use idem_runtime::{
    Claim, Error, IdempotencyAdmin, IdempotencyStore, MemoryStore, Previous, SqliteStore, StoreError, idempotent,
};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::{Count, Failure, Gate};
use serde::{Deserialize, Serialize};

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes()).unwrap()
}

#[tokio::test]
async fn r06_the_first_renewal_counts_from_the_sending_of_the_claim() {
    #[idempotent(key = "id", store = store, lease = "900ms", scope = "attack-r06-1")]
    async fn handle(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
        gate.pass().await;
        Ok(id)
    }

    let (store, gate) = (Probe::new(), Gate::default());
    // Granted at once, and told two thirds of the lease later and more.
    store.fail(Asked::Claim, Fault::Slow(Duration::from_millis(750)));
    let running = tokio::spawn({
        let (store, gate) = (store.clone(), gate.clone());
        async move { handle(&store, gate, 1).await }
    });
    gate.started().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The holder is alive, and within a third of its lease since its body was started.
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
    // The function fails for a moment: nothing of the body ran under this claim.
    handle(&store, &fence, 1, false).await.unwrap_err();
    handle(&store, &fence, 1, false).await.unwrap();
    let crash = Previous::AfterCrash { fence: died };
    assert_eq!(*SEEN.lock().unwrap(), [crash, crash]);
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

/// A store of one's own whose lock was poisoned.
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
    // The row is about to be swept when another caller gives up, whose claim is still under way.
    now = row.purge_at.unwrap() - 1;
    let second = request(2);
    let release = ReleaseRequest::new(&second, 0, Leave::NotRun);
    let row = protocol::step(Some(&row), Operation::Release(&release), now).row.unwrap();
    now += 1;
    let row = (!row.is_sweepable(now)).then_some(row);
    let late = protocol::step(row.as_ref(), Operation::Claim(&second), now);
    assert_eq!(late.reply, Reply::Ended);
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
    // Ended by other keys of its lane, the wait is over again and again.
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

/// Claims of the waiter's scope go to the running handler's.
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

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("idem.sqlite");
    (directory, path)
}

#[tokio::test]
async fn a_corrupted_row_does_not_stop_the_sweep() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).await.unwrap();
    for id in 0..10 {
        let key = key(&format!("k{id}"));
        let request = ClaimRequest::new("s", &key, Owner::random(), Duration::from_secs(60));
        assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE idempotency SET until = 1, purge_at = 2; UPDATE idempotency SET state = 99, purge_at = 1 WHERE key = CAST('k3' AS BLOB)").unwrap();
    let swept = store.sweep(100).await.unwrap();
    assert_eq!(swept, 9);
}

#[tokio::test]
async fn a_sqlite_store_opens_with_any_timeout() {
    let (_directory, path) = file();
    let store = SqliteStore::options().busy_timeout(Duration::MAX).open(&path).await.unwrap();
    assert!(store.list(Filter::all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sqlite_store_that_sweeps_all_the_time_leaves_the_processor_idle() {
    fn processor_time(thread: &str) -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let of = |task: std::path::PathBuf| {
            let stat = std::fs::read_to_string(task.join("stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            name.contains(thread).then(|| fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
        };
        tasks.filter_map(of).max().unwrap()
    }
    let (_directory, path) = file();
    let _store = SqliteStore::options().sweep_interval(Some(Duration::ZERO)).open(&path).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // In hundredths of a second.
    let used = processor_time("idem-sqlite-wri");
    assert!(used < 30, "{used}");
}

#[tokio::test]
async fn a_memory_store_waits_for_as_long_as_it_is_told() {
    let store = MemoryStore::new();
    let key = key("k");
    let request = ClaimRequest::new("s", &key, Owner::random(), Duration::MAX);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    let rival = ClaimRequest::new("s", &key, Owner::random(), Duration::MAX);
    assert!(matches!(store.claim(rival).await.unwrap(), ClaimAnswer::InProgress { .. }));
    let waited =
        tokio::time::timeout(Duration::from_millis(20), store.wait(WaitRequest::new("s", &key, Duration::MAX)));
    assert!(waited.await.is_err());
}

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
}

#[test]
fn r02_two_processes_draw_different_owners_after_a_fork() {
    let (_directory, path) = file();
    let _ = Owner::random();
    let child = unsafe { fork() };
    if child == 0 {
        let owner = Owner::random();
        let _ = std::fs::write(&path, owner.0);
        unsafe { _exit(0) }
    }
    let owner = Owner::random();
    assert_eq!(unsafe { waitpid(child, std::ptr::null_mut(), 0) }, child);
    assert_ne!(std::fs::read(&path).unwrap(), owner.0);
}

#[tokio::test]
async fn r15_a_result_whose_parts_cannot_be_encoded_is_unavailable_and_not_garbled() {
    struct Lenient(u32);
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(Some(2))?;
            seq.serialize_element(&7_u32)?;
            Err(serde::ser::Error::custom("no"))
        }
    }
    impl Serialize for Lenient {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq as _;
            let mut seq = serializer.serialize_seq(None)?;
            let _ = seq.serialize_element(&Fails);
            seq.serialize_element(&self.0)?;
            seq.end()
        }
    }
    impl<'de> Deserialize<'de> for Lenient {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let all = Vec::<Vec<u32>>::deserialize(deserializer)?;
            Ok(Self(all[0][0]))
        }
    }

    #[idempotent(key = "1", store = store, scope = "attack-garbled")]
    async fn handle(store: &MemoryStore) -> Result<Lenient, Error> {
        Ok(Lenient(5))
    }
    let store = MemoryStore::new();
    assert_eq!(handle(&store).await.unwrap().0, 5);
    let again = handle(&store).await.map(|lenient| lenient.0);
    assert!(matches!(again, Err(Error::ResultUnavailable { .. })), "{again:?}");
}

#[tokio::test]
async fn r15_an_error_that_panics_while_it_is_encoded_is_recorded_all_the_same() {
    #[derive(Debug, Deserialize)]
    struct Explosive;
    impl Serialize for Explosive {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("boom")
        }
    }
    impl From<Error> for Explosive {
        fn from(_: Error) -> Self {
            Self
        }
    }
    #[idempotent(key = "1", store = store, on_error = "record", scope = "attack-explosive")]
    async fn handle(store: MemoryStore, ran: Count) -> Result<u32, Explosive> {
        ran.up();
        Err(Explosive)
    }
    let (store, ran) = (MemoryStore::new(), Count::default());
    assert!(tokio::spawn(handle(store.clone(), ran.clone())).await.unwrap_err().is_panic());
    handle(store, ran.clone()).await.unwrap_err();
    assert_eq!(ran.get(), 1, "the failure was to be recorded");
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
    let store = MemoryStore::new();
    let other = store.clone();
    assert_eq!(tokio::spawn(async move { by_path(&store, 1).await.unwrap() }).await.unwrap(), 1);
    assert_eq!(tokio::spawn(async move { by_closure(&other, 1).await.unwrap() }).await.unwrap(), 1);
}
