//! Waits for the result of another call.

use std::time::{Duration, Instant};

use idem_runtime::store::{CompleteRequest, Leave, ReleaseRequest, Standing, WaitRequest};
use idem_runtime::{IdempotencyStore, RedisStore};
use idem_tests::server::Redis;
use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};

use crate::{DAY, acquire, commands, key, open, raw, record, request, reset_counts};

/// A wait that polls the key only after a second.
fn late(id: &idem_runtime::store::Key) -> WaitRequest<'_> {
    let mut wait = WaitRequest::new("s", id, Duration::from_secs(10));
    wait.round = 10;
    wait
}

/// Returns once the row says that somebody waits for the key.
async fn somebody_waits(raw: &mut MultiplexedConnection, name: &str) {
    while !raw.getrange::<_, Vec<u8>>(name, 3, 3).await.unwrap().iter().any(|marks| marks & 1 == 1) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How long after an ending a waiter on another connection returns: the best of some tries, as the machine may stall, for the slower
/// kind of ending.
async fn heard_after(waiter: &RedisStore, holder: &RedisStore, raw: &mut MultiplexedConnection) -> Duration {
    let mut slowest = Duration::ZERO;
    for completes in [true, false] {
        let mut best = Duration::MAX;
        for number in 0..3 {
            best = best.min(heard_of(waiter, holder, raw, &format!("k{number}"), completes).await);
        }
        slowest = slowest.max(best);
    }
    slowest
}

async fn heard_of(
    waiter: &RedisStore,
    holder: &RedisStore,
    raw: &mut MultiplexedConnection,
    name: &str,
    completes: bool,
) -> Duration {
    let (id, result) = (key(name), record("r"));
    let claim = request("s", &id);
    let fence = acquire(holder, claim).await.fence;
    let wait = async {
        waiter.wait(late(&id)).await.unwrap();
        Instant::now()
    };
    let end = async {
        somebody_waits(raw, &format!("idem:1:s:{name}")).await;
        let ended = Instant::now();
        if completes {
            holder.complete(CompleteRequest::new(&claim, fence, &result, DAY)).await.unwrap();
        } else {
            holder.release(ReleaseRequest::new(&claim, fence, Leave::Failed)).await.unwrap();
        }
        ended
    };
    let (waited, ended) = tokio::join!(wait, end);
    forget(holder, &id).await;
    waited.saturating_duration_since(ended)
}

async fn forget(store: &RedisStore, id: &idem_runtime::store::Key) {
    assert_eq!(store.admin().unwrap().forget("s", id).await.unwrap(), Standing::Held);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r03_a_waiter_is_told_by_the_server() {
    let server = Redis::start().await;
    let (waiter, holder, mut raw) = (open(&server).await, open(&server).await, raw(&server).await);
    reset_counts(&mut raw).await;
    let heard = heard_after(&waiter, &holder, &mut raw).await;
    assert!(heard < Duration::from_millis(100), "{heard:?}");
    let counts = commands(&mut raw).await;
    assert_eq!(counts["publish"], 6, "once for each ending that was waited for");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r03_a_waiter_is_told_again_after_the_listening_connection_broke() {
    let server = Redis::start().await;
    let (waiter, holder, mut raw) = (open(&server).await, open(&server).await, raw(&server).await);
    heard_after(&waiter, &holder, &mut raw).await;
    let id = key("held");
    acquire(&holder, request("s", &id)).await;
    let wait = async {
        let started = Instant::now();
        waiter.wait(late(&id)).await.unwrap();
        started.elapsed()
    };
    let broken = async {
        somebody_waits(&mut raw.clone(), "idem:1:s:held").await;
        let mut kill = redis::cmd("CLIENT");
        let killed: u32 = kill.arg(&["KILL", "TYPE", "pubsub"]).query_async(&mut raw.clone()).await.unwrap();
        assert_eq!(killed, 1, "one connection listens");
    };
    let (waited, ()) = tokio::join!(wait, broken);
    assert!(waited < Duration::from_millis(700), "what was told meanwhile is missed, so it looks: {waited:?}");
    while redis::cmd("PUBSUB").arg("CHANNELS").query_async::<Vec<String>>(&mut raw).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let heard = heard_after(&waiter, &holder, &mut raw).await;
    assert!(heard < Duration::from_millis(100), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r03_a_waiter_that_is_told_nothing_looks_by_itself() {
    let server = Redis::start().await;
    let (holder, mut raw) = (open(&server).await, raw(&server).await);
    let client = redis::Client::open(server.url()).unwrap();
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let manager = ConnectionManager::new_with_config(client.clone(), config.clone()).await.unwrap();
    let unheard = RedisStore::open_with(manager).await.unwrap();
    // A user that may not use any channel.
    let acl = ["SETUSER", "deaf", "on", "nopass", "~*", "+@all", "resetchannels"];
    redis::cmd("ACL").arg(&acl).exec_async(&mut raw).await.unwrap();
    let deaf = RedisStore::open(&server.url().replace("127.0.0.1", "deaf:@127.0.0.1")).await.unwrap();
    for (waiter, what) in [(&unheard, "nowhere to listen"), (&deaf, "not allowed to listen")] {
        let heard = heard_after(waiter, &holder, &mut raw).await;
        assert!(heard < Duration::from_secs(1), "{what}: {heard:?}");
    }
    // A holder that may not publish can end its key all the same.
    heard_after(&unheard, &deaf, &mut raw).await;

    let manager = ConnectionManager::new_with_config(client.clone(), config).await.unwrap();
    let listening = RedisStore::options().listen(client).open_with(manager).await.unwrap();
    let heard = heard_after(&listening, &holder, &mut raw).await;
    assert!(heard < Duration::from_millis(100), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r03_a_wait_ends_with_the_lease() {
    let server = Redis::start().await;
    let (store, id) = (open(&server).await, key("k"));
    let mut claim = request("s", &id);
    claim.lease = Duration::from_millis(300);
    acquire(&store, claim).await;
    let started = Instant::now();
    store.wait(late(&id)).await.unwrap();
    let waited = started.elapsed();
    assert!((Duration::from_millis(150)..Duration::from_millis(900)).contains(&waited), "{waited:?}");
    store.wait(late(&key("nobody's"))).await.unwrap();
}
