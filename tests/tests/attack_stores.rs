//! Attacks on the distributed stores.

use std::time::{Duration, Instant};

use idem_runtime::admin::Resolution;
use idem_runtime::conformance::Suite;
use idem_runtime::protocol::{self, Operation, Row, State};
use idem_runtime::store::StoreError;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Fingerprint, Key, Leave, Orphans, Owner, Record, ReleaseRequest,
    RenewRequest, Standing, WaitRequest,
};
use idem_runtime::{AnyStore, Error, IdempotencyStore, MemoryStore, MySqlStore, Outcome, PostgresStore, idempotent};
use idem_tests::rng::Rng;
use idem_tests::server::{Kind, MariaDb, Postgres, Redis};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::task::JoinSet;

const LEASE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const INSTANT: Duration = Duration::from_micros(1);

fn key(text: impl AsRef<str>) -> Key {
    Key::from_bytes(text.as_ref().as_bytes()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[idempotent(key = "id", store = store, scope = "attack::sync", lease = "3s")]
fn charge_sync(store: &AnyStore, id: u32) -> Result<Outcome<u32>, Error> {
    Ok(id.into())
}

fn stands_still(kind: Kind) {
    let runtime = runtime();
    let (_server, store) = runtime.block_on(async {
        let server = kind.start().await;
        let store = idem_runtime::connect(&server.url()).await.unwrap();
        (server, store)
    });
    // The runtime lives, and nobody drives it.
    for id in 0..3 {
        let started = Instant::now();
        assert_eq!(charge_sync(&store, id).unwrap(), Outcome::Executed(id));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}

#[test]
#[ignore = "starts PostgreSQL: run by tests/run"]
fn r20_postgres_needs_no_runtime_that_opened_it() {
    stands_still(Kind::Postgres);
}

#[test]
#[ignore = "starts MariaDB: run by tests/run"]
fn r20_mysql_needs_no_runtime_that_opened_it() {
    stands_still(Kind::MariaDb);
}

#[test]
#[ignore = "starts redis-server: run by tests/run"]
fn r20_redis_needs_no_runtime_that_opened_it() {
    stands_still(Kind::Redis);
}

#[idempotent(key = "id", store = store, scope = "attack::charge")]
async fn charge(store: &AnyStore, id: &str) -> Result<Outcome<u32>, Error> {
    Ok(1.into())
}

/// A server that is stopped, or an administrator, says farewell on each connection.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r09_connections_that_the_server_ended_fail_no_call() {
    let server = Postgres::start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack", &held, Owner::random(), LEASE);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    let mut at_once = JoinSet::new();
    for _ in 0..40 {
        let (store, held) = (store.clone(), held.clone());
        at_once.spawn(async move {
            store
                .renew(RenewRequest::new(&ClaimRequest::new("attack", &held, Owner::random(), LEASE), 1))
                .await
                .unwrap()
        });
    }
    at_once.join_all().await;
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let ended = other.fetch_all("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'").await.unwrap();
    assert!(ended.len() > 3);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(charge(&store, "1").await.unwrap(), Outcome::Executed(1));
}

/// A listener must not keep the user's last connection.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_waiter_takes_no_connection_of_a_users_pool_for_good() {
    let server = Postgres::start().await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(2))
        .connect(&server.url())
        .await
        .unwrap();
    let store = AnyStore::new(PostgresStore::from_pool(pool.clone()).await.unwrap());
    let held = key("held");
    let request = ClaimRequest::new("attack", &held, Owner::random(), LEASE);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    store.wait(WaitRequest::new("attack", &held, Duration::from_millis(500))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(charge(&store, "1").await.unwrap(), Outcome::Executed(1));
}

/// Connections and tasks end with the store.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_store_that_is_dropped_leaves_no_connection() {
    let server = Postgres::start().await;
    let store = PostgresStore::open(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack", &held, Owner::random(), LEASE);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    store.wait(WaitRequest::new("attack", &held, Duration::from_millis(500))).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(store);
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let rows = other
        .fetch_all(
            "SELECT query FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
        .await
        .unwrap();
    let left: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Results of the longest kind, many at a time.
async fn large(store: AnyStore, many: u32) {
    let most = store.max_record_len();
    let bytes: Vec<u8> = (0..most).map(|nth| (nth % 251) as u8).collect();
    let record = Record::from(std::sync::Arc::<[u8]>::from(bytes));
    let mut claims = Vec::new();
    for nth in 0..many {
        let key = key(format!("large {nth}"));
        let owner = Owner::random();
        let ClaimAnswer::Acquired(grant) = store.claim(ClaimRequest::new("attack", &key, owner, HOUR)).await.unwrap()
        else {
            panic!()
        };
        claims.push((key, owner, grant.fence));
    }
    let mut calls = JoinSet::new();
    for (key, owner, fence) in claims {
        let (store, record) = (store.clone(), record.clone());
        calls.spawn(async move {
            let claim = ClaimRequest::new("attack", &key, owner, HOUR);
            store.complete(CompleteRequest::new(&claim, fence, &record, HOUR)).await.unwrap()
        });
    }
    assert!(calls.join_all().await.into_iter().all(|standing| standing == Standing::Held));
    let (_, found) = store.admin().unwrap().get("attack", &key("large 0")).await.unwrap().unwrap();
    assert_eq!(found, Some(record));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r15_postgres_keeps_many_large_results() {
    let server = Postgres::start_with(&["-c", "fsync=off", "-c", "max_wal_size=4GB"]).await;
    large(idem_runtime::connect(&server.url()).await.unwrap(), 66).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r15_mysql_keeps_large_results() {
    let server = MariaDb::start_with(&[
        "--max-allowed-packet=64M",
        "--innodb-log-file-size=512M",
        "--innodb-flush-log-at-trx-commit=0",
    ])
    .await;
    large(idem_runtime::connect(&server.url()).await.unwrap(), 8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn r15_redis_keeps_large_results() {
    let server = Redis::start_with(&["--appendfsync", "no"]).await;
    large(idem_runtime::connect(&server.url()).await.unwrap(), 20).await;
}

/// Somebody's transaction holds the row of one key, of which there are duplicates: other keys go on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_locked_row_holds_up_no_other_key_on_postgres() {
    let server = Postgres::start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack::charge", &held, Owner::random(), INSTANT);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    other.execute(sqlx::raw_sql("BEGIN; SELECT FROM idempotency FOR UPDATE")).await.unwrap();
    stalls(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_locked_row_holds_up_no_other_key_on_mysql() {
    let server = MariaDb::start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let mut other = sqlx::MySqlConnection::connect(&server.url()).await.unwrap();
    let held = key("held");
    let request = ClaimRequest::new("attack::charge", &held, Owner::random(), INSTANT);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    other
        .execute(sqlx::raw_sql(
            "START TRANSACTION; SELECT * FROM idempotency WHERE scope = 'attack::charge' AND `key` = 'held' FOR UPDATE",
        ))
        .await
        .unwrap();
    stalls(&store).await;
}

/// Duplicates of the locked key take every lane, and are in the way of others.
async fn stalls(store: &AnyStore) {
    let mut duplicates = JoinSet::new();
    for _ in 0..3 {
        let store = store.clone();
        duplicates.spawn(async move { charge(&store, "held").await });
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut others = JoinSet::new();
    for nth in 0..10 {
        let store = store.clone();
        others.spawn(async move { charge(&store, &format!("other-{nth}")).await });
    }
    let others = tokio::time::timeout(Duration::from_secs(8), others.join_all()).await;
    assert!(others.expect("others are not held up").into_iter().all(|answer| answer.is_ok()));
    let duplicates = tokio::time::timeout(Duration::from_secs(20), duplicates.join_all()).await;
    let refused = |answer: &Result<_, Error>| matches!(answer, Err(error) if error.is_retryable());
    assert!(duplicates.expect("nobody waits for ever").iter().all(refused));
}

/// A store whose requests take their time, on the runtime that they are sent on.
#[derive(Clone)]
struct Slow(MemoryStore);

impl IdempotencyStore for Slow {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.0.claim(request).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.0.renew(request).await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.complete(request).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.0.release(request).await
    }
}

#[idempotent(key = "id", store = store, scope = "attack::leaves", on_crash = "park")]
async fn leaves(store: &Slow, id: &str, returns: bool) -> Result<Outcome<u32>, Error> {
    if !returns {
        std::future::pending::<()>().await;
    }
    Ok(1.into())
}

/// The ending of a call that was dropped is under way when its runtime ends.
#[test]
fn r13_an_ending_outlives_the_runtime_that_it_was_begun_on() {
    for (returns, state) in [(false, State::Unknown), (true, State::Done)] {
        let store = Slow(MemoryStore::new());
        let runtime = runtime();
        runtime.block_on(async {
            let called = store.clone();
            let call = tokio::spawn(async move { leaves(&called, "1", returns).await });
            tokio::time::sleep(Duration::from_millis(20)).await;
            call.abort();
            // The ending is begun.
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
        drop(runtime);
        std::thread::sleep(Duration::from_secs(1));
        let key = key("1");
        let found = store.0.admin().unwrap();
        let (entry, _) = self::runtime().block_on(found.get("attack::leaves", &key)).unwrap().unwrap();
        assert_eq!(entry.row.state, state);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn conforms_whatever_the_settings_of_postgres() {
    let server = Postgres::start_with(&[
        "-c",
        "standard_conforming_strings=off",
        "-c",
        "bytea_output=escape",
        "-c",
        "backslash_quote=on",
        "-c",
        "transform_null_equals=on",
        "-c",
        "extra_float_digits=-15",
        "-c",
        "DateStyle=German",
        "-c",
        "IntervalStyle=sql_standard",
        "-c",
        "TimeZone=Asia/Kathmandu",
        "-c",
        "default_transaction_deferrable=on",
    ])
    .await;
    for simple in [false, true] {
        Suite::new()
            .run(async || PostgresStore::options().simple_queries(simple).open(&server.url()).await.unwrap())
            .await;
        let pool = sqlx::PgPool::connect(&server.url()).await.unwrap();
        Suite::new()
            .run(async || PostgresStore::options().simple_queries(simple).open_with(pool.clone()).await.unwrap())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn conforms_whatever_the_settings_of_mysql() {
    let server = MariaDb::start_with(&[
        "--autocommit=0", "--sql-mode=ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,SIMULTANEOUS_ASSIGNMENT,EMPTY_STRING_IS_NULL,HIGH_NOT_PRECEDENCE",
        "--transaction-isolation=SERIALIZABLE", "--lower-case-table-names=1", "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci", "--default-time-zone=+05:45", "--sql-safe-updates=1", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-lock-wait-timeout=2",
    ]).await;
    Suite::new().run(async || MySqlStore::open(&server.url()).await.unwrap()).await;
    let pool = sqlx::MySqlPool::connect(&server.url()).await.unwrap();
    Suite::new().run(async || MySqlStore::from_pool(pool.clone()).await.unwrap()).await;
    let modes = "ANSI,TRADITIONAL,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,SIMULTANEOUS_ASSIGNMENT,EMPTY_STRING_IS_NULL,HIGH_NOT_PRECEDENCE";
    let pool = sqlx::mysql::MySqlPoolOptions::new()
        .after_connect(move |connection, _| {
            Box::pin(async move {
                connection
                    .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
                        "SET SESSION sql_mode='{modes}', autocommit=0, tx_isolation='SERIALIZABLE'"
                    ))))
                    .await
                    .map(drop)
            })
        })
        .connect(&server.url())
        .await
        .unwrap();
    Suite::new().run(async || MySqlStore::from_pool(pool.clone()).await.unwrap()).await;
}
