//! What is particular to the Redis store: its round trips, its rows, its server's restarts and failovers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aof;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod failover;
mod opening;
mod restarts;
mod rows;
#[cfg(feature = "redis-sentinel")]
mod sentinel;
mod trips;
mod waits;

use std::collections::BTreeMap;
use std::time::Duration;

use idem_runtime::conformance::Suite;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Grant, Key, Owner, Record, Standing};
use idem_runtime::{IdempotencyStore, RedisStore};
use idem_tests::server::Redis;
use redis::aio::MultiplexedConnection;

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn open(server: &Redis) -> RedisStore {
    RedisStore::open(&server.url()).await.unwrap()
}

/// A connection beside the store's.
async fn raw(server: &Redis) -> MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

fn key(text: &str) -> Key {
    Key::from_bytes(text.as_bytes()).unwrap()
}

fn record(text: &str) -> Record {
    Record::from_bytes(text.as_bytes())
}

fn request<'a>(scope: &'a str, key: &'a Key) -> ClaimRequest<'a> {
    ClaimRequest::new(scope, key, Owner::random(), LEASE)
}

async fn acquire(store: &RedisStore, request: ClaimRequest<'_>) -> Grant {
    match store.claim(request).await.unwrap() {
        ClaimAnswer::Acquired(grant) => grant,
        other => panic!("acquired, not {other:?}"),
    }
}

/// Claims and completes.
async fn execute(store: &RedisStore, scope: &str, key: &Key, result: &Record) -> Grant {
    let request = request(scope, key);
    let grant = acquire(store, request).await;
    let complete = CompleteRequest::new(&request, grant.fence, result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    grant
}

async fn replay(store: &RedisStore, scope: &str, key: &Key) -> Record {
    match store.claim(request(scope, key)).await.unwrap() {
        ClaimAnswer::Completed(record) => record,
        other => panic!("completed, not {other:?}"),
    }
}

/// How often each command was run, by clients or by scripts, since the last `CONFIG RESETSTAT`.
async fn commands(raw: &mut MultiplexedConnection) -> BTreeMap<String, u64> {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(raw).await.unwrap();
    let line = |line: &str| {
        let (name, counts) = line.trim_end().strip_prefix("cmdstat_")?.split_once(":calls=")?;
        Some((name.to_owned(), counts.split(',').next()?.parse().unwrap()))
    };
    stats.lines().filter_map(line).collect()
}

async fn reset_counts(raw: &mut MultiplexedConnection) {
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(raw).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_is_a_store() {
    let server = Redis::start().await;
    let suite = Suite::new().sequences(2_000, Duration::from_secs(15));
    suite.run(async || open(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_is_a_store_for_two_processes() {
    let server = Redis::start().await;
    Suite::new().processes(2).run(async || open(&server).await).await;
}
