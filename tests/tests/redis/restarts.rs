//! The server is killed, and restarted.

use std::time::Duration;

use idem_runtime::store::{CompleteRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, Outcome, RedisStore, idempotent};
use idem_tests::server::Redis;
use idem_tests::{Count, Gate};

use crate::{DAY, acquire, key, open, record, replay, request};

#[idempotent(key = "id", scope = "restarts::charge", store = "store")]
async fn charge(store: &RedisStore, id: &str, runs: &Count) -> Result<Outcome<u32>, Error> {
    let _ = store;
    Ok(runs.up().into())
}

#[idempotent(key = "id", scope = "restarts::pay", store = "store", lease = "20s")]
async fn pay(store: &RedisStore, id: &str, gate: &Gate) -> Result<(), Error> {
    let _ = store;
    gate.pass().await;
    Ok(())
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_the_store_finds_its_server_again() {
    let server = Redis::start().await;
    let (store, runs) = (open(&server).await, Count::default());
    assert_eq!(charge(&store, "before", &runs).await.unwrap(), Outcome::Executed(1));
    for round in 0..3 {
        server.kill();
        if round == 0 {
            let down = charge(&store, "down", &runs).await.unwrap_err();
            assert!(matches!(down, Error::Store { .. }), "{down:?}");
            assert_eq!(runs.get(), 1, "nothing ran");
        }
        server.restart().await;
        assert_eq!(charge(&store, "before", &runs).await.unwrap(), Outcome::Replayed(1), "it was synced");
    }
    assert_eq!(charge(&store, "after", &runs).await.unwrap(), Outcome::Executed(2));
}

/// A completion is repeated until the lease is over.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_a_completion_outlasts_a_restart() {
    let server = Redis::start().await;
    let (store, gate) = (open(&server).await, Gate::default());
    let body = pay(&store, "k", &gate);
    let around = async {
        gate.started().await;
        server.kill();
        gate.open();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.restart().await;
    };
    let (paid, ()) = tokio::join!(body, around);
    paid.unwrap();
    replay(&store, "restarts::pay", &key("k")).await;
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r08_fences_grow_over_a_server_that_forgot_everything() {
    let server = Redis::start_with(&["--appendonly", "no"]).await;
    let (store, id) = (open(&server).await, key("k"));
    let claim = request("s", &id);
    let before = acquire(&store, claim).await.fence;
    server.restart().await;
    // The first request on the broken connection fails: it can't know whether it was carried out.
    let lost = store.claim(request("s", &id)).await;
    let after = match lost {
        Err(error) => {
            assert!(error.is_unanswered(), "{error}");
            acquire(&store, request("s", &id)).await.fence
        }
        Ok(_) => panic!("the connection was cut"),
    };
    assert!(after > before);
    let late = record("late");
    let complete = CompleteRequest::new(&claim, before, &late, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Lost);
}

/// The connection belongs to a runtime that ends. The store goes on without it.
#[test]
#[ignore = "starts redis-server: run by tests/run"]
fn a_store_outlives_the_runtime_that_opened_it() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let servers = runtime();
    let server = servers.block_on(Redis::start());
    let (first, runs) = (runtime(), Count::default());
    let store = first.block_on(open(&server));
    first.block_on(charge(&store, "k", &runs)).unwrap();
    drop(first);
    assert_eq!(runtime().block_on(charge(&store, "k", &runs)).unwrap(), Outcome::Replayed(1));
}
