//! Failovers: a replica becomes the primary.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use idem_runtime::store::{CompleteRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, Outcome, RedisStore, idempotent};
use idem_tests::server::Redis;
use idem_tests::{Count, Gate};
use redis::aio::MultiplexedConnection;

use crate::{DAY, acquire, key, open, raw, record, replay, request};

#[idempotent(key = "id", scope = "failover::charge", store = "store", lease = "1s")]
async fn charge(store: &RedisStore, id: &str, runs: &Count) -> Result<Outcome<u32>, Error> {
    let _ = store;
    Ok(runs.up().into())
}

#[idempotent(key = "id", scope = "failover::pay", store = "store", lease = "2s")]
async fn pay(store: &RedisStore, id: &str, gate: &Gate) -> Result<(), Error> {
    let _ = store;
    gate.pass().await;
    Ok(())
}

/// A server and its replica.
pub(crate) async fn pair() -> (Redis, Redis) {
    let primary = Redis::start().await;
    let replica = Redis::start().await;
    follow(&replica, &primary).await;
    (primary, replica)
}

/// Makes a server the replica of another, and waits until it has caught up.
pub(crate) async fn follow(replica: &Redis, primary: &Redis) {
    let mut raw = raw(replica).await;
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(primary.port()).exec_async(&mut raw).await.unwrap();
    loop {
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut raw).await.unwrap();
        if info.contains("master_link_status:up") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Makes a replica a primary, which no longer follows the other.
async fn promote(replica: &Redis) {
    redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).exec_async(&mut raw(replica).await).await.unwrap();
}

async fn guarded(server: &Redis, timeout: Duration) -> RedisStore {
    RedisStore::options().wait_replicas(1, timeout).open(&server.url()).await.unwrap()
}

async fn caught_up(primary: &mut MultiplexedConnection) {
    // Writes first, as WAIT waits for the writes of its own connection.
    let _: () = redis::cmd("SET").arg("mark").arg(1).query_async(primary).await.unwrap();
    let confirmed: u32 = redis::cmd("WAIT").arg(1).arg(10_000).query_async(primary).await.unwrap();
    assert_eq!(confirmed, 1);
}

/// Shows the loss of which the docs of `RedisStore` warn.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_completion_that_only_the_old_primary_has_is_lost() {
    let (primary, replica) = pair().await;
    let runs = Count::default();
    let store = open(&primary).await;
    assert_eq!(charge(&store, "replicated", &runs).await.unwrap(), Outcome::Executed(1));
    caught_up(&mut raw(&primary).await).await;
    promote(&replica).await;
    assert_eq!(charge(&store, "lost", &runs).await.unwrap(), Outcome::Executed(2));
    primary.kill();
    let store = open(&replica).await;
    assert_eq!(charge(&store, "replicated", &runs).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(charge(&store, "lost", &runs).await.unwrap(), Outcome::Executed(3), "again");
}

/// Shows that `wait_replicas` prevents it.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_a_completion_that_no_replica_confirms_is_not_recorded() {
    let (primary, replica) = pair().await;
    let (runs, gate) = (Count::default(), Gate::default());
    let store = guarded(&primary, Duration::from_millis(300)).await;
    assert_eq!(charge(&store, "confirmed", &runs).await.unwrap(), Outcome::Executed(1));
    let cut = async {
        gate.started().await;
        promote(&replica).await;
        gate.open();
    };
    let (paid, ()) = tokio::join!(pay(&store, "k", &gate), cut);
    let error = paid.unwrap_err();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    assert!(error.is_retryable() && error.executed());
    let unclaimed = charge(&store, "unclaimed", &runs).await.unwrap_err();
    assert!(matches!(unclaimed, Error::Store { .. }), "{unclaimed:?}");
    let told = "Redis lacks a confirmation: 0 of 1 replicas confirmed within 300ms what the server has";
    assert!(unclaimed.to_string().contains(told) && error.to_string().contains(told), "{unclaimed} {error}");
    assert_eq!(runs.get(), 1, "nothing ran on a claim that no replica confirmed");
    let replayed = charge(&store, "confirmed", &runs).await.unwrap_err();
    assert!(matches!(replayed, Error::Store { .. }), "a replay acknowledges too: {replayed:?}");

    primary.kill();
    let store = open(&replica).await;
    assert_eq!(
        charge(&store, "confirmed", &runs).await.unwrap(),
        Outcome::Replayed(1),
        "it was acknowledged, so it is there"
    );
}

/// Stops a server with SIGSTOP, or lets it go on.
pub(crate) fn signal(pid: i32, signal: i32) {
    // SAFETY: no memory is touched.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

pub(crate) async fn pid(server: &Redis) -> i32 {
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut raw(server).await).await.unwrap();
    info.lines().find_map(|line| line.trim_end().strip_prefix("process_id:")).unwrap().parse().unwrap()
}

/// A completion is repeated on another connection, which has written nothing before. It counts as confirmed only when the replica
/// has it.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r09_a_repeated_completion_is_confirmed() {
    let (primary, replica) = pair().await;
    let open_guarded = || guarded(&primary, Duration::from_secs(2));
    let [store, other, third] = [open_guarded().await, open_guarded().await, open_guarded().await];
    let (id, result) = (key("k"), record("r"));
    let claim = request("s", &id);
    let fence = acquire(&store, claim).await.fence;
    let pid = pid(&replica).await;
    signal(pid, libc::SIGSTOP);
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    assert!(store.complete(complete).await.unwrap_err().is_unanswered());
    assert!(other.complete(complete).await.unwrap_err().is_unanswered(), "the replica doesn't have it");
    assert!(third.claim(request("s", &id)).await.unwrap_err().is_unanswered(), "a replay of it must be confirmed too");
    signal(pid, libc::SIGCONT);
    assert_eq!(other.complete(complete).await.unwrap(), Standing::Held);
    promote(&replica).await;
    assert_eq!(replay(&open(&replica).await, "s", &id).await, result);
}

/// The server at the store's address becomes a replica: it refuses every request. After it is promoted again, the store goes on.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_a_demoted_primary_decides_nothing() {
    let (primary, replica) = pair().await;
    let store = open(&primary).await;
    let id = key("k");
    promote(&replica).await;
    follow(&primary, &replica).await;
    let error = store.claim(request("s", &id)).await.unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    promote(&primary).await;
    acquire(&store, request("s", &id)).await;
}

/// An address that leads to one server and later to another, as a DNS name does that is changed. Existing connections stay with the
/// old server.
struct Address {
    port: u16,
    leads_to: Arc<AtomicU16>,
}

impl Address {
    async fn of(server: &Redis) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let leads_to = Arc::new(AtomicU16::new(server.port()));
        let target = Arc::clone(&leads_to);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let target = target.load(Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut server = tokio::net::TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Self { port, leads_to }
    }
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_the_store_connects_anew_where_it_meets_a_replica() {
    let (primary, replica) = pair().await;
    let (address, runs) = (Address::of(&primary).await, Count::default());
    let store = RedisStore::open(&format!("redis://127.0.0.1:{}", address.port)).await.unwrap();
    assert_eq!(charge(&store, "before", &runs).await.unwrap(), Outcome::Executed(1));
    caught_up(&mut raw(&primary).await).await;
    promote(&replica).await;
    address.leads_to.store(replica.port(), Ordering::SeqCst);
    follow(&primary, &replica).await;
    assert_eq!(charge(&store, "before", &runs).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(charge(&store, "after", &runs).await.unwrap(), Outcome::Executed(2));
}
