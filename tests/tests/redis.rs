//! What is particular to the Redis store: its round trips, its server's restarts and failovers, its rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use idem_runtime::RedisStore;
use idem_runtime::conformance::Suite;
use idem_tests::server::Redis;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_is_a_store() {
    let server = Redis::start().await;
    let suite = Suite::new().sequences(2_000, Duration::from_secs(20));
    suite.run(async || RedisStore::open(&server.url()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn redis_is_a_store_for_two_processes() {
    let server = Redis::start().await;
    Suite::new().processes(2).run(async || RedisStore::open(&server.url()).await.unwrap()).await;
}
