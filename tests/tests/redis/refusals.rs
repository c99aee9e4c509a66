//! A server that refuses requests, and rows that it has lost.

use std::time::Duration;

use idem_runtime::store::{CompleteRequest, RenewRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, Outcome, RedisStore, idempotent};
use idem_tests::Count;
use idem_tests::log::Log;
use idem_tests::server::Redis;
use redis::aio::MultiplexedConnection;

use crate::{DAY, acquire, commands, key, open, raw, record, request, reset_counts};

#[idempotent(key = "id", scope = "refusals::charge", store = "store")]
async fn charge(store: &RedisStore, id: &str, runs: &Count) -> Result<Outcome<u32>, Error> {
    let _ = store;
    Ok(runs.up().into())
}

#[idempotent(key = "id", scope = "refusals::pay", store = "store", on_store_error = "run")]
async fn pay(store: &RedisStore, id: &str, runs: &Count) -> Result<Outcome<u32>, Error> {
    let _ = store;
    Ok(runs.up().into())
}

async fn set(raw: &mut MultiplexedConnection, settings: &[&str]) {
    redis::cmd("CONFIG").arg("SET").arg(settings).exec_async(raw).await.unwrap();
}

/// The claim is refused. Nothing was granted, so no release is sent.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r09_a_claim_that_a_full_server_refuses_is_answered() {
    let server = Redis::start().await;
    let (store, mut raw, runs) = (open(&server).await, raw(&server).await, Count::default());
    set(&mut raw, &["maxmemory", "1"]).await;
    reset_counts(&mut raw).await;
    let error = charge(&store, "k", &runs).await.unwrap_err();
    let told = error.to_string();
    assert!(told.contains("Redis refused the request") && told.contains("OOM"), "{told}");
    assert!(matches!(&error, Error::Store { source, .. } if !source.is_unanswered()) && !error.executed());
    assert_eq!(pay(&store, "k", &runs).await.unwrap(), Outcome::Executed(1));
    // By now, a release in the background would have been sent.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(commands(&mut raw).await["evalsha"], 2, "two claims, and nothing to undo them");
    set(&mut raw, &["maxmemory", "0"]).await;
    assert_eq!(charge(&store, "k", &runs).await.unwrap(), Outcome::Executed(2));
}

/// The server's settings are changed after the store was opened.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r07_a_holder_whose_row_is_gone_is_told_of_eviction() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let log = Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let (id, result) = (key("k"), record("r"));
    let claim = request("s", &id);
    let fence = acquire(&store, claim).await.fence;
    redis::cmd("DEL").arg("idem:1:s:k").exec_async(&mut raw).await.unwrap();
    let renew = async || store.renew(RenewRequest::new(&claim, fence)).await.unwrap();
    assert_eq!((renew().await, log.take()), (Standing::Gone, String::new()), "nothing is evicted");
    set(&mut raw, &["maxmemory", "100mb", "maxmemory-policy", "allkeys-lru"]).await;
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Gone);
    let warning = log.take();
    assert!(warning.contains("allkeys-lru") && warning.contains("noeviction"), "{warning}");
    assert_eq!((renew().await, log.take()), (Standing::Gone, String::new()), "once");
}
