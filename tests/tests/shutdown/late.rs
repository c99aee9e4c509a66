//! A result that could not be recorded within the lease. It is recorded when the store is back, unless another call has taken over.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use idem_runtime::protocol::State;
use idem_runtime::{AnyStore, Error, IdempotencyStore, Outcome, SqliteStore, connect, drain, idempotent};
use idem_tests::Gate;
use idem_tests::probe::{Asked, Fault, Probe};
use idem_tests::proxy::Proxy;
use idem_tests::server::Kind;
use idem_tests::steps::key;

use crate::{PATIENCE, brief, turn, turn_of};

/// The lease of `brief`.
const LEASE: Duration = Duration::from_secs(3);

fn replayed(text: &str) -> Outcome<String> {
    Outcome::Replayed(text.to_owned())
}

fn executed(text: &str) -> Outcome<String> {
    Outcome::Executed(text.to_owned())
}

/// Makes a call whose result isn't recorded in time.
async fn not_recorded(store: &impl IdempotencyStore, id: u32, gate: Gate) {
    let error = brief(store, id, gate).await.unwrap_err();
    assert!(matches!(error, Error::NotRecorded { .. }) && error.executed(), "{error}");
}

#[tokio::test]
async fn r14_a_result_that_was_not_recorded_is_recorded_once_the_store_is_back() {
    let _turn = turn().await;
    for (store, fault) in [
        (Probe::new(), Fault::RequestLost),
        (Probe::on_runtime(), Fault::RequestLost),
        (Probe::on_runtime(), Fault::Refused),
    ] {
        store.fail_always(Asked::Complete, fault);
        let begun = Instant::now();
        not_recorded(&store, 1, Gate::opened()).await;
        assert!(begun.elapsed() < LEASE + LEASE / 2, "the caller is told with the lease, as ever");
        assert_eq!(drain(Duration::ZERO).await, 1);
        // Waits until the lease is over.
        tokio::time::sleep_until((begun + LEASE + Duration::from_millis(100)).into()).await;
        let asked = store.count(Asked::Complete);
        store.until(Asked::Complete, asked + 2).await;
        store.recover();
        assert_eq!(drain(PATIENCE).await, 0);
        assert_eq!(brief(&store, 1, Gate::opened()).await.unwrap(), replayed("first"));
    }
}

#[tokio::test]
async fn r14_a_result_whose_caller_has_gone_is_recorded_once_the_store_is_back() {
    let _turn = turn().await;
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail_always(Asked::Complete, Fault::RequestLost);
        let begun = Instant::now();
        let call = tokio::spawn({
            let store = store.clone();
            async move { brief(&store, 1, Gate::opened()).await }
        });
        store.until(Asked::Complete, 1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        tokio::time::sleep_until((begun + LEASE + Duration::from_millis(100)).into()).await;
        store.recover();
        assert_eq!(drain(PATIENCE).await, 0);
        assert_eq!(brief(&store, 1, Gate::opened()).await.unwrap(), replayed("first"));
    }
}

#[tokio::test]
async fn r14_a_sync_handlers_result_is_recorded_once_the_store_is_back() {
    #[idempotent(key = "id", scope = "shutdown/late", store = store, lease = "3s")]
    fn handle(store: &Probe, id: u32) -> Result<Outcome<u32>, Error> {
        Ok(id.into())
    }

    let _turn = turn().await;
    for store in [Probe::new(), Probe::on_runtime()] {
        store.fail_always(Asked::Complete, Fault::RequestLost);
        let call = |store: &Probe| {
            let store = store.clone();
            tokio::task::spawn_blocking(move || handle(&store, 1))
        };
        let error = call(&store).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::NotRecorded { .. }), "{error}");
        store.recover();
        assert_eq!(drain(PATIENCE).await, 0);
        assert_eq!(call(&store).await.unwrap().unwrap(), Outcome::Replayed(1));
    }
}

/// The result that an `on_crash` function found is recorded late too.
#[tokio::test]
async fn r14_what_a_function_found_is_recorded_once_the_store_is_back() {
    #[idempotent(key = "id", scope = "shutdown/found", store = store, lease = "3s", on_crash = async |_| Ok(Some(7)))]
    async fn handle(store: &Probe, id: u32, gate: Gate) -> Result<Outcome<u32>, Error> {
        gate.pass().await;
        Ok(id.into())
    }

    let _turn = turn().await;
    let store = Probe::new();
    tokio::time::timeout(Duration::from_millis(20), handle(&store, 1, Gate::default())).await.unwrap_err();
    store.fail_always(Asked::Complete, Fault::RequestLost);
    let error = handle(&store, 1, Gate::opened()).await.unwrap_err();
    assert!(matches!(error, Error::Store { .. }) && !error.executed(), "{error}");
    store.recover();
    assert_eq!(drain(PATIENCE).await, 0);
    assert_eq!(handle(&store, 1, Gate::opened()).await.unwrap(), Outcome::Replayed(7));
}

#[tokio::test]
async fn r07_a_redelivery_that_comes_first_wins() {
    let _turn = turn().await;
    let store = Probe::on_runtime();
    store.fail_always(Asked::Complete, Fault::RequestLost);
    not_recorded(&store, 1, Gate::opened()).await;
    let (gate, mut taken) = (Gate::default(), None);
    while taken.is_none() {
        let mut call = Box::pin(brief(&store, 1, gate.clone()));
        tokio::select! {
            refused = &mut call => assert!(matches!(refused, Err(Error::InProgress { .. })), "{refused:?}"),
            () = gate.started() => taken = Some(call),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.recover();
    assert_eq!(drain(PATIENCE).await, 0, "the store said that the key is another's");
    gate.open();
    assert_eq!(taken.unwrap().await.unwrap(), executed("after a crash"));
    assert_eq!(brief(&store, 1, Gate::opened()).await.unwrap(), replayed("after a crash"));
}

#[tokio::test]
async fn a_result_is_given_up_after_one_lease_more() {
    let _turn = turn().await;
    let store = Probe::on_runtime();
    store.fail_always(Asked::Complete, Fault::RequestLost);
    not_recorded(&store, 1, Gate::opened()).await;
    let told = Instant::now();
    assert_eq!(drain(PATIENCE).await, 0, "drain must not wait for a call whose lease is over");
    assert!(told.elapsed() >= LEASE / 2, "{:?}", told.elapsed());
    store.recover();
    assert_eq!(brief(&store, 1, Gate::opened()).await.unwrap(), executed("after a crash"));
}

/// Five results of 15 MiB are more than 64 MiB.
#[tokio::test]
async fn the_oldest_result_is_given_up_where_too_many_wait() {
    #[idempotent(key = "id", scope = "shutdown/large", store = store, lease = "3s", claim = claim)]
    async fn handle(store: &Probe, id: u32) -> Result<Outcome<String>, Error> {
        Ok((turn_of(claim) + &" ".repeat(15 * 1024 * 1024)).into())
    }

    let _turn = turn().await;
    let store = Probe::taking(16 * 1024 * 1024);
    store.fail_always(Asked::Complete, Fault::RequestLost);
    let begun = Instant::now();
    for id in 0..5 {
        let mut call = Box::pin(handle(&store, id));
        let failed = store.count(Asked::Complete);
        tokio::select! {
            ended = &mut call => panic!("{ended:?}"),
            () = store.until(Asked::Complete, failed + 1) => {}
        }
    }
    // All five wait until after their leases. Then one is given up.
    while drain(Duration::ZERO).await == 5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= LEASE, "within the lease none is given up");
    store.recover();
    assert_eq!(drain(PATIENCE).await, 0);
    assert!(matches!(handle(&store, 0).await, Ok(Outcome::Executed(text)) if text.starts_with("after a crash")));
    for id in 1..5 {
        assert!(matches!(handle(&store, id).await, Ok(Outcome::Replayed(text)) if text.starts_with("first")), "{id}");
    }
}

/// A handler with a lease that is long enough for the library to notice that the store is back.
#[idempotent(key = "id", scope = "shutdown/away", store = store, lease = "6s")]
async fn away(store: &AnyStore, id: u32, gate: Gate) -> Result<Outcome<u32>, Error> {
    gate.pass().await;
    Ok(id.into())
}

/// `cut` makes the store unreachable for longer than the lease, until `restore`. `direct` is a store on the same data that stays
/// reachable.
async fn replays_behind_an_outage(store: &AnyStore, direct: &AnyStore, cut: impl Fn(), restore: impl Fn()) {
    let gate = Gate::default();
    let goes = async {
        gate.started().await;
        cut();
        gate.open();
    };
    let (ended, ()) = tokio::join!(away(store, 1, gate.clone()), goes);
    assert!(matches!(ended, Err(Error::NotRecorded { .. })), "{ended:?}");
    lease_over(direct).await;
    restore();
    assert_eq!(drain(PATIENCE).await, 0);
    assert_eq!(away(direct, 1, Gate::opened()).await.unwrap(), Outcome::Replayed(1));
}

/// Waits until the lease of `away` is over by the server's clock, which is this machine's. Asserts that nobody takes over.
async fn lease_over(direct: &AnyStore) {
    let admin = direct.admin().unwrap();
    loop {
        let (entry, _) = admin.get("shutdown/away", &key("1")).await.unwrap().unwrap();
        assert_eq!(entry.row.state, State::Running);
        let until = UNIX_EPOCH + Duration::from_micros(entry.row.until);
        match until.duration_since(SystemTime::now()) {
            Ok(left) => tokio::time::sleep(left + Duration::from_millis(1)).await,
            Err(_) => return,
        }
    }
}

async fn server_is_cut_off(kind: Kind) {
    let _turn = turn().await;
    let server = kind.start().await;
    let proxy = Proxy::start(server.port()).await;
    let direct = connect(&server.url()).await.unwrap();
    let store = connect(&proxy.url(&server.url())).await.unwrap();
    replays_behind_an_outage(&store, &direct, || proxy.cut_off(), || proxy.restore()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r14_redis_gets_a_result_behind_its_lease() {
    server_is_cut_off(Kind::Redis).await;
}

/// A full server answers, and refuses to write.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r14_a_redis_that_was_full_gets_a_result_behind_its_lease() {
    let _turn = turn().await;
    let server = Kind::Redis.start().await;
    let [store, direct] = [connect(&server.url()).await.unwrap(), connect(&server.url()).await.unwrap()];
    let may_have = |bytes: &str| {
        let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(&mut connection).unwrap();
    };
    replays_behind_an_outage(&store, &direct, || may_have("1"), || may_have("0")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r14_postgres_gets_a_result_behind_its_lease() {
    server_is_cut_off(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r14_mysql_gets_a_result_behind_its_lease() {
    server_is_cut_off(Kind::MariaDb).await;
}

/// Another connection holds the writer's lock.
#[tokio::test(flavor = "multi_thread")]
async fn r14_sqlite_gets_a_result_behind_its_lease() {
    let _turn = turn().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    let store = AnyStore::new(SqliteStore::open(&file).await.unwrap());
    let direct = AnyStore::new(SqliteStore::open(&file).await.unwrap());
    let other = std::sync::Mutex::new(rusqlite::Connection::open(&file).unwrap());
    let run = |sql: &str| other.lock().unwrap().execute_batch(sql).unwrap();
    replays_behind_an_outage(&store, &direct, || run("BEGIN IMMEDIATE"), || run("COMMIT")).await;
}
