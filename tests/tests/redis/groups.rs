//! `wait_replicas`: callers wait for replicas in groups, and other requests don't wait for them.

use std::time::Duration;

use idem_runtime::store::{ClaimAnswer, CompleteRequest, Key, Leave, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, Outcome, RedisStore, StoreError, idempotent};
use idem_tests::log::Log;
use idem_tests::proxy::{Proxy, holding};
use idem_tests::{Count, Gate};
use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use tokio::task::JoinSet;

use crate::failover::{pair, pid, signal};
use crate::{DAY, acquire, commands, execute, key, open, raw, record, replay, request, reset_counts};

#[idempotent(key = "id", scope = "groups::long", store = "store", lease = "2s")]
async fn long(store: &RedisStore, id: &str, gate: &Gate, runs: &Count) -> Result<Outcome<u32>, Error> {
    let _ = store;
    let run = runs.up();
    gate.pass().await;
    Ok(run.into())
}

#[idempotent(key = "id", scope = "groups::other", store = "store", lease = "2s")]
async fn other(store: &RedisStore, id: &str) -> Result<(), Error> {
    let _ = store;
    Ok(())
}

/// A connection as a user would open it.
async fn manager(url: &str) -> ConnectionManager {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
    ConnectionManager::new_with_config(Client::open(url).unwrap(), config).await.unwrap()
}

/// A store with its own connections that waits at most this long for one replica.
async fn guarded(url: &str, timeout: Duration) -> RedisStore {
    RedisStore::options().wait_replicas(1, timeout).open(url).await.unwrap()
}

/// The same on one connection of the user's.
async fn guarded_with(url: &str, timeout: Duration) -> RedisStore {
    RedisStore::options().wait_replicas(1, timeout).open_with(manager(url).await).await.unwrap()
}

fn is_unconfirmed<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    let error = answer.unwrap_err();
    assert!(error.is_unanswered() && error.to_string().contains("0 of 1 replicas confirmed"), "{error}");
}

/// The replica is stopped. On one connection, a renewal waits for one group of callers at most, so it is in time. Duplicates on
/// another connection would take the key at once if its lease ran out.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r06_a_stopped_replica_ends_no_lease() {
    let (primary, replica) = pair().await;
    let (url, runs, gate) = (primary.url(), Count::default(), Gate::default());
    let store = guarded_with(&url, Duration::from_millis(400)).await;
    let elsewhere = open(&primary).await;
    let holder = tokio::spawn({
        let (store, gate, runs) = (store.clone(), gate.clone(), runs.clone());
        async move { long(&store, "k", &gate, &runs).await }
    });
    gate.started().await;
    let pid = pid(&replica).await;
    signal(pid, libc::SIGSTOP);
    let mut others = JoinSet::new();
    let (admin, id, mut renewals, mut until) = (elsewhere.admin().unwrap(), key("k"), 0, 0);
    for number in 0.. {
        let store = store.clone();
        others.spawn(async move { other(&store, &format!("{number}")).await });
        let (entry, _) = admin.get("groups::long", &id).await.unwrap().unwrap();
        renewals += u32::from(std::mem::replace(&mut until, entry.row.until) < until);
        if renewals == 8 {
            break;
        }
        let duplicate = long(&elsewhere, "k", &Gate::opened(), &runs).await;
        assert!(matches!(duplicate, Err(Error::InProgress { .. })), "the lease holds: {duplicate:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for answer in others.join_all().await {
        let told = answer.unwrap_err().to_string();
        assert!(told.contains("0 of 1 replicas confirmed"), "{told}");
    }
    signal(pid, libc::SIGCONT);
    gate.open();
    assert_eq!(holder.await.unwrap().unwrap(), Outcome::Executed(1));
    assert_eq!(runs.get(), 1);
}

/// A caller waits for the group that is under way, and then for its own. So many callers take few WAITs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn callers_share_what_they_wait_for() {
    let (primary, replica) = pair().await;
    let (url, mut raw) = (primary.url(), raw(&primary).await);
    let pid = pid(&replica).await;
    for store in [guarded(&url, Duration::from_secs(1)).await, guarded_with(&url, Duration::from_secs(1)).await] {
        for (replica_lives, most) in [(false, 3), (true, 100)] {
            signal(pid, if replica_lives { libc::SIGCONT } else { libc::SIGSTOP });
            reset_counts(&mut raw).await;
            let mut claims = JoinSet::new();
            for number in 0..200 {
                let (store, id) = (store.clone(), key(format!("{replica_lives} {number}")));
                claims.spawn(async move { store.claim(request("s", &id)).await });
            }
            for answer in claims.join_all().await {
                match answer {
                    Ok(answer) => assert!(replica_lives && matches!(answer, ClaimAnswer::Acquired(_)), "{answer:?}"),
                    answer => is_unconfirmed(answer),
                }
            }
            let waits = commands(&mut raw).await["wait"];
            assert!(waits <= most, "{waits} for 200 claims, the replica lives: {replica_lives}");
        }
        redis::cmd("FLUSHALL").exec_async(&mut raw).await.unwrap();
    }
}

/// Requests that need no confirmation don't wait for callers that do. Both with connections of the store's own, and with one of the
/// user's and a client to listen.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r06_renewals_and_endings_pass_by_those_who_wait() {
    const LONG: Duration = Duration::from_secs(20);
    let (primary, replica) = pair().await;
    let (url, pid) = (primary.url(), pid(&replica).await);
    let beside = RedisStore::options().wait_replicas(1, LONG).listen(Client::open(&*url).unwrap());
    let beside = beside.open_with(manager(&url).await).await.unwrap();
    for store in [guarded(&url, LONG).await, beside] {
        let (id, waiting) = (key("held"), key("waiting"));
        let claim = request("s", &id);
        let fence = acquire(&store, claim).await.fence;
        signal(pid, libc::SIGSTOP);
        let others = async {
            while waits_for(&store, &waiting).await {}
            assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), Standing::Held);
            let release = ReleaseRequest::new(&claim, fence, Leave::Failed);
            assert_eq!(store.release(release).await.unwrap(), Standing::Held);
            assert_eq!(store.admin().unwrap().stats().await.unwrap().running, 1);
        };
        let unconfirmed = store.claim(request("s", &waiting));
        tokio::select! {
            biased;
            answer = unconfirmed => panic!("the others are still waiting for theirs: {answer:?}"),
            () = others => signal(pid, libc::SIGCONT),
        }
        redis::cmd("FLUSHALL").exec_async(&mut raw(&primary).await).await.unwrap();
    }
}

/// Whether the claim of a key has not reached the server yet.
async fn waits_for(store: &RedisStore, key: &Key) -> bool {
    store.admin().unwrap().get("s", key).await.unwrap().is_none()
}

/// The connection is cut after the script has run. The request is repeated on another connection, where WAIT would count the
/// replicas for that connection's writes only. The store must not take this for a confirmation.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_a_confirmation_that_no_replica_gave_never_counts() {
    let (primary, replica) = pair().await;
    let proxy = Proxy::start(primary.port()).await;
    let (url, pid) = (proxy.url(&primary.url()), pid(&replica).await);
    let timeout = Duration::from_millis(300);
    for (round, store) in [guarded(&url, timeout).await, guarded_with(&url, timeout).await].into_iter().enumerate() {
        let (id, done) = (key(format!("k{round}")), key(format!("done{round}")));
        let (claim, held, result) = (request("s", &id), request("s", &done), record("r"));
        let fence = acquire(&store, held).await.fence;
        let complete = CompleteRequest::new(&held, fence, &result, DAY);
        signal(pid, libc::SIGSTOP);
        for _ in 0..3 {
            let cut = proxy.cut_after(holding(&claim.owner.0));
            let (answer, ()) = tokio::join!(store.claim(claim), cut.struck());
            assert!(answer.unwrap_err().is_unanswered());
            is_unconfirmed(until_connected(|| store.claim(claim)).await);
            let cut = proxy.cut_after(holding(result.as_bytes()));
            let (answer, ()) = tokio::join!(store.complete(complete), cut.struck());
            assert!(answer.unwrap_err().is_unanswered());
            is_unconfirmed(until_connected(|| store.complete(complete)).await);
            is_unconfirmed(store.claim(request("s", &done)).await);
        }
        signal(pid, libc::SIGCONT);
        acquire(&store, claim).await;
        assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
        assert_eq!(replay(&store, "s", &done).await, result);
    }
}

/// The connection is cut between the script's answer and the confirmation. On a new connection, WAIT counts the replica at once, as
/// nothing was written on it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_a_confirmation_of_another_connection_never_counts() {
    let (primary, replica) = pair().await;
    let proxy = Proxy::start(primary.port()).await;
    let (url, pid, mut raw) = (proxy.url(&primary.url()), pid(&replica).await, raw(&primary).await);
    for is_one_connection in [false, true] {
        let timeout = Duration::from_secs(8);
        let store = if is_one_connection { guarded_with(&url, timeout).await } else { guarded(&url, timeout).await };
        let id = key("k");
        signal(pid, libc::SIGSTOP);
        let cut = async {
            while !redis::cmd("EXISTS").arg("idem:1:s:k").query_async::<bool>(&mut raw.clone()).await.unwrap() {}
            tokio::time::sleep(Duration::from_millis(100)).await;
            proxy.cut_all();
        };
        let (answer, ()) = tokio::join!(store.claim(request("s", &id)), cut);
        assert!(answer.unwrap_err().is_unanswered());
        signal(pid, libc::SIGCONT);
        redis::cmd("FLUSHALL").exec_async(&mut raw).await.unwrap();
    }
}

/// Repeats a request until the driver has connected again.
async fn until_connected<T>(ask: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    loop {
        match ask().await {
            Err(error) if !error.to_string().contains("replicas confirmed") => {}
            answer => return answer,
        }
    }
}

/// A caller is dropped while its group is under way. Its claim is given back, and the other calls of the group go on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r13_a_caller_that_is_dropped_hurts_no_group() {
    let (primary, replica) = pair().await;
    let (runs, pid) = (Count::default(), pid(&replica).await);
    let store = guarded(&primary.url(), Duration::from_secs(2)).await;
    signal(pid, libc::SIGSTOP);
    let call = |id: &'static str| {
        let (store, runs) = (store.clone(), runs.clone());
        tokio::spawn(async move { long(&store, id, &Gate::opened(), &runs).await })
    };
    let claimed = async |id: &str| {
        let id = key(id);
        while store.admin().unwrap().get("groups::long", &id).await.unwrap().is_none() {}
    };
    let first = call("first");
    claimed("first").await;
    // These two wait in the next group.
    let (dropped, other) = (call("dropped"), call("other"));
    claimed("dropped").await;
    claimed("other").await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    signal(pid, libc::SIGCONT);
    first.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
    assert_eq!(runs.get(), 2);
    let again = loop {
        match long(&store, "dropped", &Gate::opened(), &runs).await {
            Err(Error::InProgress { .. }) => {}
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(again, Outcome::Executed(3), "the dropped call didn't run, and doesn't hold the key");
}

/// The server has forgotten the scripts. The group is repeated with the script's text, and confirmed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_script_that_the_server_has_forgotten_is_confirmed_too() {
    let (primary, _replica) = pair().await;
    let (store, mut raw) = (guarded(&primary.url(), Duration::from_secs(5)).await, raw(&primary).await);
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut raw).await.unwrap();
    reset_counts(&mut raw).await;
    execute(&store, "s", &key("k"), &record("r")).await;
    let counts = commands(&mut raw).await;
    assert_eq!(
        (counts["eval"], counts["wait"]),
        (2, 4),
        "for each of the two requests: a group that was refused, and one that was not"
    );
}

/// `listen` is given a client of a replica. The store learns of endings through it, and doesn't send it any renewal.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r06_a_client_that_leads_elsewhere_is_only_listened_to() {
    let (primary, replica) = pair().await;
    let options = RedisStore::options().wait_replicas(1, Duration::from_secs(5));
    let log = Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let listening = options.listen(Client::open(replica.url()).unwrap());
    let store = listening.open_with(manager(&primary.url()).await).await.unwrap();
    assert!(log.take().contains("`listen` names another server"));
    let id = key("k");
    let claim = request("s", &id);
    let fence = acquire(&store, claim).await.fence;
    assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), Standing::Held);
    assert_eq!(store.admin().unwrap().stats().await.unwrap().running, 1);
}
