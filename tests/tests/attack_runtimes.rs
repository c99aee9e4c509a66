//! Runtimes that nobody drives, bodies that block their threads, connections that no task uses, and other states of a process in
//! which a call must not fail.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use idem_runtime::store::{Key, Leave, ReleaseRequest, Standing, StoreError};
use idem_runtime::{AnyStore, Error, IdempotencyStore, MemoryStore, Outcome, SqliteStore, connect, idempotent};
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::server::{Kind, Server};
use idem_tests::steps::{key, request};
use idem_tests::{Count, Gate};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn threads(most: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(most).enable_all().build().unwrap()
}

/// A server, and a store on it. The runtime that opened the store has ended.
fn opened(kind: Kind) -> (Server, AnyStore) {
    one_thread().block_on(async {
        let server = kind.start().await;
        let store = connect(&server.url()).await.unwrap();
        (server, store)
    })
}

#[idempotent(key = "id", scope = "runtimes/brief", store = store, lease = "5s")]
async fn brief(store: &Probe, ran: &Count, id: u32) -> Result<Outcome<u32>, Error> {
    Ok(ran.up().into())
}

#[tokio::test]
async fn r14_a_completion_that_hangs_is_sent_again() {
    for store in [Probe::new(), Probe::on_runtime()] {
        let ran = Count::default();
        store.fail(Asked::Complete, Fault::Hangs);
        assert!(!brief(&store, &ran, 1).await.unwrap().is_replayed());
        assert_eq!(store.asked(), [Asked::Claim, Asked::Complete, Asked::Complete]);
    }
}

#[test]
fn r13_an_outcome_is_recorded_though_the_callers_runtime_stands_still() {
    let (store, ran) = (Probe::on_runtime(), Count::default());
    store.fail(Asked::Complete, Fault::Hangs);
    let still = one_thread();
    still.block_on(async {
        let cancelled = tokio::time::timeout(Duration::from_millis(100), brief(&store, &ran, 1)).await;
        cancelled.unwrap_err();
    });
    one_thread().block_on(store.until(Asked::Complete, 2));
    drop(still);
}

#[idempotent(key = "id", scope = "runtimes/consumed", store = store, lease = "2s")]
async fn consumed(store: &AnyStore, ran: &Count, id: u32) -> Result<Outcome<u32>, Error> {
    Ok(ran.up().into())
}

/// Each consumer has a thread and a runtime of its own. Between two messages its thread waits for the broker, and nobody drives the
/// runtime. No other consumer may depend on that runtime.
fn consumers(kind: Kind) {
    const MOST: u32 = 16;
    let (_server, store) = opened(kind);
    let ran = Count::default();
    let (begin, done) = (Barrier::new(MOST as usize), Barrier::new(MOST as usize));
    std::thread::scope(|scope| {
        for id in 0..MOST {
            let (store, ran, begin, done) = (&store, &ran, &begin, &done);
            scope.spawn(move || {
                let runtime = one_thread();
                begin.wait();
                let handled = runtime.block_on(consumed(store, ran, id));
                done.wait();
                handled.unwrap();
            });
        }
    });
    assert_eq!(ran.get(), MOST);
}

#[test]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
fn r14_nobody_on_postgres_waits_for_a_runtime_that_stands_still() {
    consumers(Kind::Postgres);
}

#[test]
#[ignore = "starts a MariaDB server: run by tests/run"]
fn r14_nobody_on_mariadb_waits_for_a_runtime_that_stands_still() {
    consumers(Kind::MariaDb);
}

#[test]
#[ignore = "starts a Redis server: run by tests/run"]
fn r14_nobody_on_redis_waits_for_a_runtime_that_stands_still() {
    consumers(Kind::Redis);
    // The same while the runtime that stands still has begun to open a connection.
    let (_server, store) = opened(Kind::Redis);
    let ran = Count::default();
    let (begun, has_begun) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (store, ran) = (&store, &ran);
        scope.spawn(move || {
            one_thread().block_on(async {
                let mut call = Box::pin(consumed(store, ran, 1));
                assert!(poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await.is_pending());
                begun.send(()).unwrap();
                // Blocks the thread until the test drops `end`.
                ends.recv().unwrap_err();
            });
        });
        has_begun.recv().unwrap();
        let other = one_thread()
            .block_on(async { tokio::time::timeout(Duration::from_secs(5), consumed(store, ran, 2)).await });
        drop(end);
        other.expect("another runtime's call needn't wait").unwrap();
    });
}

/// Blocks its thread several times, each time for less than its lease.
#[idempotent(key = "id", scope = "runtimes/blocks", store = store, lease = "6s")]
async fn blocks(store: &AnyStore, id: u32) -> Result<u32, Error> {
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(2_600));
        tokio::task::yield_now().await;
    }
    Ok(id)
}

#[idempotent(key = "id", scope = "runtimes/behaves", store = store, lease = "2s")]
async fn behaves(store: &AnyStore, ran: &Count, id: u32, gate: Gate) -> Result<Outcome<u32>, Error> {
    ran.up();
    gate.pass().await;
    Ok(id.into())
}

/// Bodies that block begin a renewal whenever they are polled, and block their thread again while it is under way. There are more
/// of them than a store has connections. A handler beside them has to keep its lease all the same.
fn blocking_bodies(kind: Kind) {
    let (server, store) = opened(kind);
    let (blocked, calm) = (threads(16), threads(2));
    let (ran, gate) = (Count::default(), Gate::default());
    let held = calm.spawn({
        let (store, ran, gate) = (store.clone(), ran.clone(), gate.clone());
        async move { behaves(&store, &ran, 1, gate).await }
    });
    calm.block_on(gate.started());
    let rival = calm.spawn({
        let (url, ran) = (server.url(), ran.clone());
        async move {
            let store = connect(&url).await.unwrap();
            loop {
                match behaves(&store, &ran, 1, Gate::opened()).await {
                    Err(Error::InProgress { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
                    other => return other,
                }
            }
        }
    });
    let blockers: Vec<_> = (0..14)
        .map(|id| {
            let store = store.clone();
            blocked.spawn(async move { blocks(&store, id).await })
        })
        .collect();
    for blocker in blockers {
        blocked.block_on(blocker).unwrap().unwrap();
    }
    gate.open();
    let (held, rival) = (calm.block_on(held).unwrap(), calm.block_on(rival).unwrap());
    assert!(matches!(held, Ok(Outcome::Executed(1))), "its lease was renewed all the time: {held:?}");
    assert!(matches!(rival, Ok(Outcome::Replayed(1))), "{rival:?}");
    assert_eq!(ran.get(), 1);
}

#[test]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
fn r06_bodies_that_block_keep_no_connection_to_postgres() {
    blocking_bodies(Kind::Postgres);
}

#[test]
#[ignore = "starts a MariaDB server: run by tests/run"]
fn r06_bodies_that_block_keep_no_connection_to_mariadb() {
    blocking_bodies(Kind::MariaDb);
}

type Release<'a> = Pin<Box<dyn Future<Output = Result<Standing, StoreError>> + Send + 'a>>;

fn release<'a>(store: &'a AnyStore, key: &'a Key) -> Release<'a> {
    Box::pin(store.release(ReleaseRequest::new(&request("runtimes/still", key), 1, Leave::Failed)))
}

/// Requests that were polled once and hold their connections, but are not polled again: others must not wait for these connections.
fn connections_that_stand_still(kind: Kind) {
    let (_server, store) = opened(kind);
    let keys: Vec<_> = (0..16).map(|nth| key(format!("key-{nth}"))).collect();
    let mut still: Vec<_> = keys.iter().map(|key| release(&store, key)).collect();
    let runtime = one_thread();
    let poll = |releases: &mut [Release<'_>]| {
        let _entered = runtime.enter();
        for release in releases {
            assert!(release.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
    };
    poll(&mut still[..8]);
    let ran = Count::default();
    one_thread().block_on(async {
        for id in 0..3 {
            assert!(matches!(consumed(&store, &ran, id).await, Ok(Outcome::Executed(_))));
        }
    });

    // These wait for a connection for a while, and then take the spare ones.
    poll(&mut still[8..]);
    std::thread::sleep(Duration::from_millis(400));
    poll(&mut still[8..]);
    one_thread().block_on(async {
        let mut waiting = JoinSet::new();
        for nth in 0..4 {
            let store = store.clone();
            waiting.spawn(async move {
                let key = key(format!("other-{nth}"));
                release(&store, &key).await.unwrap();
            });
        }
        // By then they wait for a spare connection.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert!(waiting.try_join_next().is_none(), "all connections are in use");
        drop(still.drain(..2));
        let released = tokio::time::timeout(Duration::from_secs(5), waiting.join_all()).await;
        released.expect("two connections were given back");
    });
}

#[test]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
fn r14_connections_to_postgres_that_stand_still_are_not_waited_for() {
    connections_that_stand_still(Kind::Postgres);
}

#[test]
#[ignore = "starts a MariaDB server: run by tests/run"]
fn r14_connections_to_mariadb_that_stand_still_are_not_waited_for() {
    connections_that_stand_still(Kind::MariaDb);
}

#[idempotent(key = "id", scope = "runtimes/held", store = store, lease = "300ms")]
async fn held(store: &MemoryStore, ran: &Count, id: u32, takes: Duration) -> Result<Outcome<u32>, Error> {
    ran.up();
    tokio::time::sleep(takes).await;
    Ok(id.into())
}

const ALONE: &str = "IDEM_RUNTIMES_ALONE";

/// Runs in a process of its own, in which the library has not started its background thread yet.
#[test]
fn r06_leases_are_renewed_though_there_was_no_descriptor_for_a_moment() {
    if std::env::var_os(ALONE).is_none() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "r06_leases_are_renewed_though_there_was_no_descriptor_for_a_moment"]);
        let output = alone.env(ALONE, "").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let runtime = threads(2);
    let (store, ran) = (MemoryStore::new(), Count::default());
    let mut usual = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut usual) };
    let none = libc::rlimit { rlim_cur: 3, ..usual };
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) };
    runtime.block_on(held(&store, &ran, 1, Duration::from_millis(20))).unwrap();
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const usual) };

    let long = runtime.block_on(held(&store, &ran, 2, Duration::from_secs(1)));
    assert!(matches!(long, Ok(Outcome::Executed(2))), "{long:?}");
    runtime.block_on(async {
        let mut long = Box::pin(held(&store, &ran, 3, Duration::from_secs(10)));
        let ended = tokio::time::timeout(Duration::from_millis(900), &mut long).await;
        assert!(ended.is_err(), "{ended:?}");
        assert!(matches!(held(&store, &ran, 3, Duration::ZERO).await, Err(Error::InProgress { .. })));
    });
}

/// The waker of an executor that has ended: waking it panics.
struct Gone;

impl Wake for Gone {
    fn wake(self: Arc<Self>) {
        panic!("there is no executor any more");
    }
}

fn polled_by_who_goes(call: impl Future) {
    let mut call = Box::pin(call);
    assert!(call.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::new(Gone)))).is_pending());
    std::mem::forget(call);
}

#[idempotent(key = "id", scope = "runtimes/sync", store = store, lease = "300ms")]
fn held_by_a_thread(store: &MemoryStore, id: u32, takes: Duration) -> Result<Outcome<u32>, Error> {
    std::thread::sleep(takes);
    Ok(id.into())
}

#[idempotent(key = "id", scope = "runtimes/endless", store = store, lease = "300ms")]
async fn endless(store: &MemoryStore, id: u32) -> Result<Outcome<u32>, Error> {
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r06_a_waker_that_panics_ends_nobody_elses_renewals() {
    let (store, ran) = (MemoryStore::new(), Count::default());
    // Its first renewal is due in 100 ms.
    polled_by_who_goes(endless(&store, 1));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let second = Duration::from_secs(1);
    let by_task = tokio::spawn({
        let (store, ran) = (store.clone(), ran.clone());
        async move { held(&store, &ran, 2, second).await }
    });
    let by_thread = tokio::task::spawn_blocking({
        let store = store.clone();
        move || held_by_a_thread(&store, 3, second)
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(matches!(held(&store, &ran, 2, Duration::ZERO).await, Err(Error::InProgress { .. })));
    assert!(matches!(held_by_a_thread(&store, 3, Duration::ZERO), Err(Error::InProgress { .. })));
    by_task.await.unwrap().unwrap();
    by_thread.await.unwrap().unwrap();
}

#[idempotent(key = "id", scope = "runtimes/durable", store = store)]
async fn durable(store: &SqliteStore, id: u32) -> Result<Outcome<u32>, Error> {
    Ok(id.into())
}

#[tokio::test]
async fn a_waker_that_panics_ends_no_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("keys")).await.unwrap();
    polled_by_who_goes(durable(&store, 1));
    for id in 2..5 {
        assert!(matches!(durable(&store, id).await, Ok(Outcome::Executed(_))));
    }
}
