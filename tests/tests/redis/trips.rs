//! How many requests an operation takes.

use idem_runtime::store::{ClaimAnswer, CompleteRequest, Leave, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, RedisStore, idempotent};
use idem_tests::server::Redis;
use redis::aio::MultiplexedConnection;

use crate::{DAY, acquire, commands, execute, key, open, raw, record, replay, request, reset_counts};

/// The commands that are not counted: those inside the scripts, and those of this test.
const INSIDE: [&str; 7] = ["time", "getrange", "exists", "set", "pexpireat", "config|resetstat", "info"];

#[idempotent(key = "id", scope = "trips::charge", store = "store")]
async fn charge(store: &RedisStore, id: &str) -> Result<u32, Error> {
    Ok(store.max_record_len() as u32)
}

#[idempotent(key = "id", scope = "trips::pay", store = "store", on_crash = "park")]
async fn pay(store: &RedisStore, id: &str) -> Result<(), Error> {
    let _ = store;
    Ok(())
}

/// How many requests were sent since the counters were reset. Asserts that each was a script that was named by its hash.
async fn requests(raw: &mut MultiplexedConnection) -> u64 {
    let mut counts = commands(raw).await;
    let scripts = counts.remove("evalsha").unwrap_or(0);
    counts.retain(|name, _| !INSIDE.contains(&name.as_str()));
    assert!(counts.is_empty(), "other commands were sent: {counts:?}");
    reset_counts(raw).await;
    scripts
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r11_each_path_is_one_script_call_an_operation() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    reset_counts(&mut raw).await;
    charge(&store, "a").await.unwrap();
    assert_eq!(requests(&mut raw).await, 2, "a first execution: claim and complete");
    charge(&store, "a").await.unwrap();
    assert_eq!(requests(&mut raw).await, 1, "a duplicate");

    let (held, parked) = (key("held"), key("parked"));
    acquire(&store, request("trips::charge", &held)).await;
    assert_eq!(requests(&mut raw).await, 1, "a claim");
    assert!(matches!(charge(&store, "held").await, Err(Error::InProgress { .. })));
    assert_eq!(requests(&mut raw).await, 1, "a duplicate in flight");

    let claim = request("trips::pay", &parked);
    let fence = acquire(&store, claim).await.fence;
    store.renew(RenewRequest::new(&claim, fence)).await.unwrap();
    store.release(ReleaseRequest::new(&claim, fence, Leave::OutcomeUnknown)).await.unwrap();
    assert_eq!(requests(&mut raw).await, 3, "a claim, a renewal and a release");
    assert!(matches!(pay(&store, "parked").await, Err(Error::OutcomeUnknown { .. })));
    assert_eq!(requests(&mut raw).await, 1, "a parked duplicate");
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r11_a_server_that_has_forgotten_the_scripts_is_sent_them() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let flush = async || {
        let mut raw = crate::raw(&server).await;
        redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut raw).await.unwrap();
    };
    let (id, result) = (key("k"), record("r"));
    let claim = request("s", &id);
    flush().await;
    reset_counts(&mut raw).await;
    let fence = acquire(&store, claim).await.fence;
    flush().await;
    assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), Standing::Held);
    flush().await;
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    flush().await;
    assert_eq!(replay(&store, "s", &id).await, result);
    flush().await;
    let release = ReleaseRequest::new(&claim, fence, Leave::Failed);
    assert_eq!(store.release(release).await.unwrap(), Standing::Lost);
    assert_eq!(commands(&mut raw).await["eval"], 5);
    // After the text of a script was sent once, the hash is enough.
    assert_eq!(replay(&store, "s", &id).await, result);
    reset_counts(&mut raw).await;
    assert_eq!(replay(&store, "s", &id).await, result);
    assert_eq!(store.release(release).await.unwrap(), Standing::Lost);
    assert_eq!(requests(&mut raw).await, 2);
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn an_ending_is_published_only_where_somebody_waits() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    reset_counts(&mut raw).await;
    execute(&store, "s", &key("k"), &record("r")).await;
    assert!(matches!(store.claim(request("s", &key("k"))).await.unwrap(), ClaimAnswer::Completed(_)));
    assert!(!commands(&mut raw).await.contains_key("publish"));
}
