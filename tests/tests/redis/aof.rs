//! `wait_aof`, which needs Redis 7.2.

use std::time::Duration;

use idem_runtime::store::{CompleteRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, RedisStore};
use idem_tests::server::Redis;
use redis::aio::MultiplexedConnection;

use crate::failover::{pair, pid, signal};
use crate::{DAY, acquire, commands, execute, key, raw, record, replay, request, reset_counts};

async fn opened(server: &Redis, replicas: u32, timeout: Duration) -> Result<RedisStore, Error> {
    RedisStore::options().wait_aof(replicas, timeout).open(&server.url()).await
}

/// Opens a store, if the server knows the command `WAITAOF`. With an older server, asserts that opening fails with a good message.
async fn guarded(server: &Redis, replicas: u32, timeout: Duration) -> Option<RedisStore> {
    let command: redis::Value =
        redis::cmd("COMMAND").arg(&["INFO", "WAITAOF"]).query_async(&mut raw(server).await).await.unwrap();
    let known = !matches!(&command, redis::Value::Array(infos) if matches!(infos[..], [redis::Value::Nil]));
    println!("the server knows WAITAOF: {known}");
    let store = opened(server, replicas, timeout).await;
    if known {
        return Some(store.unwrap());
    }
    let error = store.unwrap_err();
    assert!(matches!(error, Error::Config { source: Some(_), .. }), "{error:?}");
    assert!(error.to_string().contains("it needs Redis 7.2"), "{error}");
    None
}

async fn set(raw: &mut MultiplexedConnection, name: &str, value: &str) {
    redis::cmd("CONFIG").arg(&["SET", name, value]).exec_async(raw).await.unwrap();
}

/// Waits until the replica has rewritten its append-only file. It does so when it begins to follow its primary.
async fn synced(primary: &mut MultiplexedConnection) {
    let _: () = redis::cmd("SET").arg("mark").arg(1).query_async(primary).await.unwrap();
    while redis::cmd("WAITAOF").arg(&[1, 1, 100]).query_async::<[u32; 2]>(primary).await.unwrap() != [1, 1] {}
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_server_syncs_what_it_acknowledges_or_is_too_old_to_open() {
    let server = Redis::start_with(&["--appendfsync", "everysec"]).await;
    let Some(store) = guarded(&server, 0, Duration::from_secs(10)).await else { return };
    let mut raw = raw(&server).await;
    reset_counts(&mut raw).await;
    execute(&store, "s", &key("k"), &record("r")).await;
    assert_eq!(replay(&store, "s", &key("k")).await, record("r"));
    assert_eq!(commands(&mut raw).await["waitaof"], 3, "a claim, a completion and a replay");
    let store = opened(&server, 0, Duration::from_millis(1500)).await.unwrap();
    set(&mut raw, "appendfsync", "no").await;
    let id = key("unsynced");
    let error = store.claim(request("s", &id)).await.unwrap_err();
    assert!(error.is_unanswered() && error.to_string().contains("append-only file did not have the write"), "{error}");
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_server_without_an_append_only_file_is_refused() {
    let server = Redis::start().await;
    if guarded(&server, 0, Duration::from_secs(10)).await.is_none() {
        return;
    }
    set(&mut raw(&server).await, "appendonly", "no").await;
    let error = opened(&server, 0, Duration::from_secs(10)).await.unwrap_err();
    assert!(error.to_string().contains("`appendonly yes`"), "{error}");
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_completion_that_no_replica_synced_is_not_recorded() {
    let (primary, replica) = pair().await;
    let Some(store) = guarded(&primary, 1, Duration::from_secs(2)).await else { return };
    synced(&mut raw(&primary).await).await;
    let (id, result) = (key("k"), record("r"));
    let claim = request("s", &id);
    let fence = acquire(&store, claim).await.fence;
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    let pid = pid(&replica).await;
    signal(pid, libc::SIGSTOP);
    let error = store.complete(complete).await.unwrap_err();
    assert!(error.is_unanswered() && error.to_string().contains("0 of 1 replicas confirmed"), "{error}");
    signal(pid, libc::SIGCONT);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    assert_eq!(replay(&store, "s", &id).await, result);
}
