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
    let store = AnyStore::new(PostgresStore::open_with(pool.clone()).await.unwrap());
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

/// What is asked of a key.
#[derive(Debug)]
enum Ask {
    Claim {
        owner: Owner,
        lease: Duration,
        fingerprint: Option<Fingerprint>,
        orphans: Orphans,
        retain: Option<Duration>,
    },
    Complete {
        owner: Owner,
        fence: u64,
        ttl: Duration,
    },
    Renew {
        owner: Owner,
        fence: u64,
        lease: Duration,
        retain: Option<Duration>,
    },
    Release {
        owner: Owner,
        fence: u64,
        how: Leave,
        retain: Duration,
    },
}

fn near(a: u64, b: u64) -> bool {
    a.abs_diff(b) < 20_000_000
}

fn alike(a: &Row, b: &Row) -> bool {
    let purged = match (a.purge_at, b.purge_at) {
        (None, None) => true,
        (Some(a), Some(b)) => a.abs_diff(b) < 20_000_000 + 7 * 24 * 3_600_000_000 / 31,
        _ => false,
    };
    let fresh = |row: &Row| row.fence > 1_000_000_000_000;
    a.state == b.state
        && a.owner == b.owner
        && (a.fence == b.fence || fresh(a) && fresh(b) && near(a.fence, b.fence))
        && (near(a.until, b.until) || matches!(a.state, State::Free | State::Unknown))
        && a.doubt == b.doubt
        && a.previous == b.previous
        && a.attempt == b.attempt
        && a.fingerprint == b.fingerprint
        && a.ended == b.ended
        && purged
}

async fn batches_are_steps(store: AnyStore, seed: u64) {
    let mut rng = Rng::new(seed);
    let admin = store.admin().unwrap();
    let owners: Vec<Owner> = (1..8).map(|nth| Owner([nth; 16])).collect();
    let keys: Vec<Key> = (0..48).map(|nth| key(format!("{nth}"))).collect();
    let scope = "attack::step";
    for round in 0..60 {
        let mut before = Vec::new();
        for key in &keys {
            before.push(admin.get(scope, key).await.unwrap().map(|(entry, record)| (entry.row, record)));
        }
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
        let mut calls = JoinSet::new();
        let mut asked = Vec::new();
        for row in &before {
            let mut pick = |n: u64| rng.below(n);
            let row = row.as_ref().map(|(row, _)| *row);
            let owner = match row {
                Some(row) if pick(3) > 0 => row.owner,
                _ => owners[pick(7) as usize],
            };
            let fence = row.map_or(0, |row| row.fence) + u64::from(pick(8) == 0);
            let lease = if pick(2) == 0 { HOUR } else { INSTANT };
            let retain = match pick(3) {
                0 => None,
                1 => Some(Duration::ZERO),
                _ => Some(HOUR),
            };
            let fingerprint = match pick(3) {
                0 => None,
                nth => Some(Fingerprint([nth as u8; 16])),
            };
            let ask = match pick(10) {
                0..4 => Ask::Claim {
                    owner: if pick(2) == 0 { owners[pick(7) as usize] } else { owner },
                    lease,
                    fingerprint,
                    orphans: if pick(4) == 0 { Orphans::Refuse } else { Orphans::Take },
                    retain,
                },
                4..7 => Ask::Complete { owner, fence, ttl: lease },
                7 => Ask::Renew { owner, fence, lease, retain },
                _ => Ask::Release {
                    owner,
                    fence,
                    how: [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep, Leave::NotRun][pick(4) as usize],
                    retain: HOUR,
                },
            };
            asked.push(ask);
        }
        let record = Record::from_bytes(format!("round {round}").as_bytes());
        for (nth, ask) in asked.into_iter().enumerate() {
            let (store, key, record) = (store.clone(), keys[nth].clone(), record.clone());
            let row = before[nth].as_ref().map(|(row, _)| *row);
            let had = before[nth].as_ref().and_then(|(_, record)| record.clone());
            calls.spawn(async move {
                let stub = Owner([0; 16]);
                let base = ClaimRequest::new(scope, &key, stub, LEASE);
                let (next, told) = match &ask {
                    Ask::Claim { owner, lease, fingerprint, orphans, retain } => {
                        let mut request = ClaimRequest::new(scope, &key, *owner, *lease);
                        (request.fingerprint, request.orphans, request.retain) = (*fingerprint, *orphans, *retain);
                        let next = protocol::step(row.as_ref(), Operation::Claim(&request), started);
                        let wanted = next.reply.into_claim(|| had.clone());
                        let told = store.claim(request).await.unwrap();
                        let same = match (&wanted, &told) {
                            (ClaimAnswer::Acquired(a), ClaimAnswer::Acquired(b)) => {
                                a.attempt == b.attempt && a.previous == b.previous && near(a.fence, b.fence)
                            }
                            (ClaimAnswer::InProgress { .. }, ClaimAnswer::InProgress { .. }) => true,
                            (a, b) => a == b,
                        };
                        (next, (same, format!("{wanted:?} {told:?}")))
                    }
                    Ask::Complete { owner, fence, ttl } => {
                        let mut claim = base;
                        claim.owner = *owner;
                        let request = CompleteRequest::new(&claim, *fence, &record, *ttl);
                        let next = protocol::step(row.as_ref(), Operation::Complete(&request), started);
                        let (wanted, told) = (next.reply.into_standing(), store.complete(request).await.unwrap());
                        (next, (wanted == told, format!("{wanted:?} {told:?}")))
                    }
                    Ask::Renew { owner, fence, lease, retain } => {
                        let mut claim = base;
                        (claim.owner, claim.lease, claim.retain) = (*owner, *lease, *retain);
                        let request = RenewRequest::new(&claim, *fence);
                        let next = protocol::step(row.as_ref(), Operation::Renew(&request), started);
                        let (wanted, told) = (next.reply.into_standing(), store.renew(request).await.unwrap());
                        (next, (wanted == told, format!("{wanted:?} {told:?}")))
                    }
                    Ask::Release { owner, fence, how, retain } => {
                        let mut claim = base;
                        claim.owner = *owner;
                        let mut request = ReleaseRequest::new(&claim, *fence, *how);
                        request.retain = *retain;
                        let next = protocol::step(row.as_ref(), Operation::Release(&request), started);
                        let (wanted, told) = (next.reply.into_standing(), store.release(request).await.unwrap());
                        (next, (wanted == told, format!("{wanted:?} {told:?}")))
                    }
                };
                (nth, ask, next, told, had)
            });
        }
        for (nth, ask, next, (same, told), had) in calls.join_all().await {
            let (was, is) =
                (&before[nth], admin.get(scope, &keys[nth]).await.unwrap().map(|(entry, found)| (entry.row, found)));
            assert!(same, "round {round} key {nth}: {ask:?} on {was:?} told {told}");
            let wanted = next.row.or(was.as_ref().map(|(row, _)| *row));
            match (&wanted, &is) {
                (None, None) => {}
                (Some(wanted), Some((is, found))) => {
                    assert!(
                        alike(wanted, is),
                        "round {round} key {nth}: {ask:?} on {was:#?} wanted {wanted:#?} is {is:#?}"
                    );
                    let kept = match (wanted.state, was) {
                        (State::Done, Some((row, _))) if row.state == State::Done => had,
                        (State::Done, _) => Some(record.clone()),
                        _ => None,
                    };
                    assert!(
                        *found == kept,
                        "round {round} key {nth}: {ask:?} on {was:?} record {found:?} wanted {kept:?}"
                    );
                }
                _ => panic!("round {round} key {nth}: {ask:?} on {was:?} wanted {wanted:?} is {is:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn batches_are_steps_on_postgres() {
    let server = Postgres::start_with(&["-c", "fsync=off"]).await;
    for seed in 1..4 {
        batches_are_steps(idem_runtime::connect(&server.url()).await.unwrap(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn batches_are_steps_on_mysql() {
    let server = MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=0"]).await;
    for seed in 1..4 {
        batches_are_steps(AnyStore::new(MySqlStore::open(&server.url()).await.unwrap()), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn batches_are_steps_on_redis() {
    let server = Redis::start_with(&["--appendfsync", "no"]).await;
    for seed in 1..4 {
        batches_are_steps(idem_runtime::connect(&server.url()).await.unwrap(), seed).await;
    }
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

/// An operator's words are those of the state machine, on every state.
async fn words_are_steps(store: AnyStore) {
    let admin = store.admin().unwrap();
    let scope = "attack::words";
    for state in 0..9 {
        for word in 0..3 {
            let key = key(format!("{state} {word}"));
            let owner = Owner::random();
            let mut request = ClaimRequest::new(scope, &key, owner, if state == 1 { INSTANT } else { HOUR });
            request.fingerprint = Some(Fingerprint([7; 16]));
            let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!() };
            let ttl = if state % 2 == 0 { INSTANT } else { HOUR };
            let record = Record::from_bytes(if state < 7 { &b"the handler's"[..] } else { b"another operator's" });
            let leave = |how| ReleaseRequest::new(&request, grant.fence, how);
            match state {
                2 => drop(store.release(leave(Leave::OutcomeUnknown)).await.unwrap()),
                3 => drop(store.release(leave(Leave::Keep)).await.unwrap()),
                4 => drop(store.release(leave(Leave::Failed)).await.unwrap()),
                5 | 6 => drop(store.complete(CompleteRequest::new(&request, grant.fence, &record, ttl)).await.unwrap()),
                7 | 8 => {
                    store.release(leave(Leave::OutcomeUnknown)).await.unwrap();
                    let resolution = Resolution::Executed { record: record.clone(), ttl };
                    assert_eq!(admin.resolve(scope, &key, resolution).await.unwrap(), Standing::Held);
                }
                _ => {}
            }
            let (entry, _) = admin.get(scope, &key).await.unwrap().unwrap();
            let said = Record::from_bytes(b"the operator's");
            let operation =
                [Operation::ResolveExecuted { ttl: HOUR }, Operation::ResolveNotExecuted, Operation::Forget][word];
            let next = protocol::step(Some(&entry.row), operation, entry.now);
            let told = match word {
                0 => admin.resolve(scope, &key, Resolution::Executed { record: said.clone(), ttl: HOUR }).await,
                1 => admin.resolve(scope, &key, Resolution::NotExecuted).await,
                _ => admin.forget(scope, &key).await,
            };
            assert_eq!(told.unwrap(), next.reply.into_standing(), "state {state} word {word}");
            let (is, found) = admin.get(scope, &key).await.unwrap().unwrap();
            let wanted = next.row.unwrap_or(entry.row);
            assert!(alike(&wanted, &is.row), "state {state} word {word}: {wanted:#?} {:#?}", is.row);
            let kept = match (wanted.state, word) {
                (State::Done, 0) if next.row.is_some() => Some(said),
                (State::Done, _) => Some(record),
                _ => None,
            };
            assert!(found == kept, "state {state} word {word}: {found:?} {kept:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn words_are_steps_everywhere() {
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
        let server = kind.start().await;
        words_are_steps(idem_runtime::connect(&server.url()).await.unwrap()).await;
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
    Suite::new().run(async || MySqlStore::open_with(pool.clone()).await.unwrap()).await;
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
    Suite::new().run(async || MySqlStore::open_with(pool.clone()).await.unwrap()).await;
}
