//! `drain_blocking`, on every kind of thread.

use std::ops::Range;
use std::sync::mpsc;
use std::time::Duration;

use idem_runtime::{AnyStore, MySqlStore, Outcome, PostgresStore, connect, drain_blocking};
use idem_tests::Gate;
use idem_tests::probe::{Fault, Probe};
use idem_tests::server::Kind;
use tokio::task::{JoinSet, LocalSet};

use crate::{PATIENCE, UNKNOWN, cancelled, long, one_thread, threads, turn};

/// Drops a call, whose ending then takes a while in the background.
async fn leaves_an_ending() {
    let store = Probe::on_runtime();
    store.fail(UNKNOWN, Fault::RequestLost).fail(UNKNOWN, Fault::Slow(Duration::from_millis(200)));
    cancelled(&store, 1).await;
}

/// Runs this on a thread of its own, and asserts that nothing is left. If it hangs, the thread is left behind.
fn drains(work: impl FnOnce() -> usize + Send + 'static) {
    let _turn = one_thread().block_on(turn());
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    assert_eq!(ended.recv_timeout(2 * PATIENCE).expect("it doesn't wait for ever"), 0);
}

#[test]
fn r27_on_a_current_thread_runtimes_own_thread() {
    drains(|| {
        one_thread().block_on(async {
            leaves_an_ending().await;
            drain_blocking(PATIENCE)
        })
    });
}

/// The ending runs on the runtime whose only worker `drain_blocking` blocks.
#[test]
fn r27_on_a_runtimes_only_worker() {
    drains(|| {
        let runtime = threads(1);
        let task = runtime.spawn(async {
            leaves_an_ending().await;
            drain_blocking(PATIENCE)
        });
        runtime.block_on(task).unwrap()
    });
}

#[test]
fn r27_in_spawn_blocking() {
    for runtime in [one_thread, || threads(1)] {
        drains(move || {
            runtime().block_on(async {
                leaves_an_ending().await;
                tokio::task::spawn_blocking(|| drain_blocking(PATIENCE)).await.unwrap()
            })
        });
    }
}

#[test]
fn r27_in_a_local_set() {
    for runtime in [one_thread, || threads(1)] {
        drains(move || {
            let work = async {
                leaves_an_ending().await;
                drain_blocking(PATIENCE)
            };
            LocalSet::new().block_on(&runtime(), work)
        });
    }
}

#[test]
fn r27_without_a_runtime() {
    drains(|| {
        let runtime = threads(2);
        runtime.block_on(leaves_an_ending());
        runtime.shutdown_background();
        drain_blocking(PATIENCE)
    });
}

/// Tasks that nobody joined are dropped with their runtime. Their endings are drained after its end.
#[test]
fn r27_behind_the_end_of_a_runtime() {
    drains(|| {
        let (store, gate) = (Probe::on_runtime(), Gate::default());
        store.fail(UNKNOWN, Fault::Slow(Duration::from_millis(200)));
        let runtime = threads(2);
        runtime.block_on(async {
            let (store, gate) = (store.clone(), gate.clone());
            tokio::spawn({
                let gate = gate.clone();
                async move { long(&store, 1, gate).await }
            });
            gate.started().await;
        });
        runtime.shutdown_timeout(PATIENCE);
        let left = drain_blocking(PATIENCE);
        assert_eq!(store.count(UNKNOWN), 1);
        left
    });
}

/// Starts handlers. Returns when all of them are in their bodies.
async fn handlers_run(store: &AnyStore, ids: Range<u32>) -> JoinSet<()> {
    let mut handlers = JoinSet::new();
    for id in ids {
        let (gate, store) = (Gate::default(), store.clone());
        handlers.spawn({
            let gate = gate.clone();
            async move { drop(long(&store, id, gate).await) }
        });
        gate.started().await;
    }
    handlers
}

/// Asserts that each handler runs again at once, without waiting for a lease.
async fn handlers_run_again(store: &AnyStore, ids: Range<u32>) {
    for id in ids {
        let again = long(store, id, Gate::opened()).await.unwrap();
        assert_eq!(again, Outcome::Executed("after a crash".to_owned()));
    }
}

/// Drains after the end of the runtime on which the store was opened, and on the only thread of a runtime.
fn is_drained(open: impl AsyncFn() -> AnyStore) {
    let _turn = one_thread().block_on(turn());
    let runtime = threads(2);
    let store = runtime.block_on(async {
        let store = open().await;
        handlers_run(&store, 0..8).await.detach_all();
        store
    });
    runtime.shutdown_timeout(PATIENCE);
    assert_eq!(drain_blocking(PATIENCE), 0);
    one_thread().block_on(handlers_run_again(&store, 0..8));

    one_thread().block_on(async {
        let store = open().await;
        handlers_run(&store, 8..16).await.shutdown().await;
        assert_eq!(drain_blocking(PATIENCE), 0);
        handlers_run_again(&store, 8..16).await;
    });
}

#[test]
fn r27_sqlite_is_drained_whatever_becomes_of_its_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("keys").display());
    is_drained(async || connect(&url).await.unwrap());
}

fn server_is_drained(kind: Kind) {
    let server = one_thread().block_on(kind.start());
    is_drained(async || connect(&server.url()).await.unwrap());
}

#[test]
#[ignore = "starts a Redis server: run by tests/run"]
fn r27_redis_is_drained_whatever_becomes_of_its_runtime() {
    server_is_drained(Kind::Redis);
}

#[test]
#[ignore = "starts PostgreSQL servers: run by tests/run"]
fn r27_postgres_is_drained_whatever_becomes_of_its_runtime() {
    server_is_drained(Kind::Postgres);
    let server = one_thread().block_on(Kind::Postgres.start());
    is_drained(async || {
        let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
        AnyStore::new(PostgresStore::open_with(pool).await.unwrap())
    });
}

#[test]
#[ignore = "starts MariaDB servers: run by tests/run"]
fn r27_mysql_is_drained_whatever_becomes_of_its_runtime() {
    server_is_drained(Kind::MariaDb);
    let server = one_thread().block_on(Kind::MariaDb.start());
    is_drained(async || {
        let pool = sqlx::MySqlPool::connect(&server.url()).await.unwrap();
        AnyStore::new(MySqlStore::open_with(pool).await.unwrap())
    });
}
