//! What is particular to the Redis store: its round trips, its rows, its server's restarts and failovers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aof;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod failover;
mod groups;
mod opening;
mod operators;
mod refusals;
mod restarts;
mod rows;
#[cfg(feature = "redis-sentinel")]
mod sentinel;
mod trips;
mod waits;

use std::collections::BTreeMap;
use std::time::Duration;

use idem_runtime::RedisStore;
use idem_runtime::conformance::Suite;
use idem_tests::server::Redis;
use idem_tests::steps::{DAY, acquire, execute, key, record, replay, request};
use redis::aio::MultiplexedConnection;

async fn open(server: &Redis) -> RedisStore {
    RedisStore::open(&server.url()).await.unwrap()
}

/// A connection of the test's own.
async fn raw(server: &Redis) -> MultiplexedConnection {
    redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// How often clients and scripts have run each command since the last `CONFIG RESETSTAT`.
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
    let clock = server.movable_clock().await;
    let suite = Suite::new().clock(move |ahead| clock.set_ahead(ahead)).sequences(2_000, Duration::from_secs(15));
    suite.run(async || open(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_is_a_store_for_two_processes() {
    let server = Redis::start().await;
    Suite::new().processes(2).run(async || open(&server).await).await;
}
