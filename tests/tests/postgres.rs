//! `PostgresStore` on a real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use idem_runtime::conformance::Suite;
use idem_runtime::protocol::State;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Key, Leave, Orphans, Owner, PostgresOptions, Record, ReleaseRequest,
    Standing, WaitRequest,
};
use idem_runtime::{Error, IdempotencyStore, Outcome, PostgresStore, idempotent};
use idem_tests::server::{PgBouncer, Postgres};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, Row as _};
use tokio::task::JoinSet;

const SCOPE: &str = "postgres";
const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key(text: impl AsRef<str>) -> Key {
    Key::from_bytes(text.as_ref().as_bytes()).unwrap()
}

fn ask(key: &Key) -> ClaimRequest<'_> {
    ClaimRequest::new(SCOPE, key, Owner::random(), LEASE)
}

async fn open(server: &Postgres) -> PostgresStore {
    PostgresStore::open(&server.url()).await.unwrap()
}

/// What the server counts, and anything else that is asked.
async fn number(server: &Postgres, sql: &str) -> i64 {
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    // Statistics are written down once a second at most; a new connection's look waits for none.
    connection.fetch_one(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
}

async fn execute(server: &Postgres, sql: &str) {
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

#[idempotent(key = "id", scope = "postgres::charge", store = store)]
async fn charge(store: &PostgresStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok(format!("charged {id}").into())
}

/// Completes a key; answers who did, with which fence.
async fn complete(store: &PostgresStore, key: &Key, result: &Record) -> (Owner, u64) {
    let request = ask(key);
    let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("{key} is not free") };
    let done = store.complete(CompleteRequest::new(&request, grant.fence, result, DAY)).await.unwrap();
    assert_eq!(done, Standing::Held);
    (request.owner, grant.fence)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn postgres_store_conforms() {
    let server = Postgres::start().await;
    Suite::new().run(|| open(&server)).await;
    Suite::new().processes(2).run(|| open(&server)).await;
}

/// Behind a pooler that gives each transaction another connection: no statement leaves anything in the session that the
/// next one needs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn conforms_behind_a_pooler_with_simple_queries() {
    let server = Postgres::start().await;
    let pooler = PgBouncer::start(&server).await;
    let url = server.url().replace(&server.port().to_string(), &pooler.port().to_string());
    let options = || PostgresStore::options().simple_queries(true);
    Suite::new().processes(2).run(async || options().open(&url).await.unwrap()).await;

    // Prepared statements get lost there, and the error says what to do.
    let store = PostgresStore::options().open(&url).await;
    let mut told = store.as_ref().err().map_or_else(String::new, ToString::to_string);
    if let Ok(store) = store {
        for _ in 0..50 {
            let calls = (0..8).map(|nth| {
                let store = store.clone();
                tokio::spawn(async move { charge(&store, &format!("order-{nth}")).await })
            });
            for call in calls.collect::<Vec<_>>() {
                told += &call.await.unwrap().err().map_or_else(String::new, |error| error.to_string());
            }
        }
    }
    assert!(told.contains("open the store with `simple_queries(true)`"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn conforms_at_stricter_isolation_levels_with_a_users_pool() {
    for level in ["repeatable read", "serializable"] {
        let server = Postgres::start_with(&["-c", &format!("default_transaction_isolation={level}")]).await;
        let pool = PgPool::connect(&server.url()).await.unwrap();
        Suite::new().processes(2).run(async || PostgresStore::open_with(pool.clone()).await.unwrap()).await;
    }
}

/// A database in which few characters can be written, and whose collation knows no case.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn conforms_in_a_database_of_another_encoding() {
    let server = Postgres::start().await;
    execute(&server, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await;
    let url = server.url().replace("/postgres", "/latin");
    Suite::new().run(async || PostgresStore::open(&url).await.unwrap()).await;
}

/// A claim that meets others is won, running or completed, and nothing else: PostgreSQL can answer with no row, where
/// another transaction's row is not in the statement's snapshot.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r02_no_answer_of_a_race_is_neither() {
    let server = Postgres::start().await;
    let stores = [open(&server).await, open(&server).await, open(&server).await];
    for round in 0..150 {
        let key = key(format!("round {round}"));
        // Fresh, an orphan, and a key whose ttl is over.
        match round % 3 {
            1 => {
                let request = ask(&key);
                let ClaimAnswer::Acquired(grant) = stores[0].claim(request).await.unwrap() else { panic!("not free") };
                let leave = ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown);
                assert_eq!(stores[0].release(leave).await.unwrap(), Standing::Held);
            }
            2 => {
                let request = ask(&key);
                let ClaimAnswer::Acquired(grant) = stores[0].claim(request).await.unwrap() else { panic!("not free") };
                let record = Record::from_bytes(b"old");
                let brief = CompleteRequest::new(&request, grant.fence, &record, Duration::from_micros(1));
                assert_eq!(stores[0].complete(brief).await.unwrap(), Standing::Held);
            }
            _ => {}
        }
        let mut racers = JoinSet::new();
        for racer in 0..24 {
            let (store, key) = (stores[racer % 3].clone(), key.clone());
            racers.spawn(async move {
                let request = ask(&key);
                let answer = store.claim(request).await.unwrap();
                if let ClaimAnswer::Acquired(grant) = answer {
                    let record = Record::from_bytes(b"new");
                    let complete = CompleteRequest::new(&request, grant.fence, &record, DAY);
                    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
                }
                answer
            });
        }
        let answers = racers.join_all().await;
        let won = answers.iter().filter(|answer| matches!(answer, ClaimAnswer::Acquired(_))).count();
        assert_eq!(won, 1, "round {round}: {answers:?}");
        for answer in answers {
            let sound = match &answer {
                ClaimAnswer::Completed(record) => record.as_bytes() == b"new",
                other => matches!(other, ClaimAnswer::Acquired(_) | ClaimAnswer::InProgress { .. }),
            };
            assert!(sound, "round {round}: {answer:?}");
        }
    }
}

/// Statements that the server was sent, one by one as it logs them.
fn logged(server: &Postgres, since: usize) -> usize {
    let log = std::fs::read_to_string(server.directory().join("log")).unwrap();
    let sent = |line: &str| line.contains("LOG:  execute") || line.contains("LOG:  statement:");
    log.lines().filter(|line| sent(line)).count() - since
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r11_an_operation_is_one_statement_on_every_path() {
    let server = Postgres::start_with(&["-c", "log_statement=all"]).await;
    let store = open(&server).await;
    let (record, free, parked) = (Record::from_bytes(b"r"), key("free"), key("parked"));
    let orphaned = ClaimRequest::new(SCOPE, &parked, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(lost) = store.claim(orphaned).await.unwrap() else { panic!("not free") };

    let before = logged(&server, 0);
    let request = ask(&free);
    let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("not free") };
    assert_eq!(logged(&server, before), 1, "a claim that wins");
    assert!(matches!(store.claim(ask(&free)).await.unwrap(), ClaimAnswer::InProgress { .. }));
    assert_eq!(logged(&server, before), 2, "one that finds the key running");
    store.renew(idem_runtime::store::RenewRequest::new(&request, grant.fence)).await.unwrap();
    assert_eq!(logged(&server, before), 3, "a renewal");
    store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
    assert_eq!(logged(&server, before), 4, "a completion");
    assert_eq!(store.claim(ask(&free)).await.unwrap(), ClaimAnswer::Completed(record));
    assert_eq!(logged(&server, before), 5, "a duplicate");
    store.release(ReleaseRequest::new(&orphaned, lost.fence, Leave::OutcomeUnknown)).await.unwrap();
    assert_eq!(logged(&server, before), 6, "a release");
    let mut refusing = ask(&parked);
    refusing.orphans = Orphans::Refuse;
    assert_eq!(store.claim(refusing).await.unwrap(), ClaimAnswer::Orphaned);
    assert_eq!(logged(&server, before), 7, "one that finds it parked");
    store.release(ReleaseRequest::new(&refusing, 0, Leave::NotRun)).await.unwrap();
    assert_eq!(logged(&server, before), 8, "a call that gives up");
}

/// How much the server has written to its log.
const WRITTEN: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_duplicate_writes_nothing() {
    let server = Postgres::start_with(&["-c", "autovacuum=off"]).await;
    let store = open(&server).await;
    let (done, running) = (key("done"), key("running"));
    complete(&store, &done, &Record::from_bytes(b"r")).await;
    assert!(matches!(store.claim(ask(&running)).await.unwrap(), ClaimAnswer::Acquired(_)));
    // Hints of the first readers are written too.
    store.claim(ask(&done)).await.unwrap();
    store.claim(ask(&running)).await.unwrap();
    let before = number(&server, WRITTEN).await;
    let mut duplicates = JoinSet::new();
    for nth in 0..200 {
        let (store, key) = (store.clone(), if nth % 2 == 0 { done.clone() } else { running.clone() });
        duplicates.spawn(async move { store.claim(ask(&key)).await.unwrap() });
    }
    duplicates.join_all().await;
    // The server itself notes its running transactions now and then, in fewer than a hundred bytes.
    let written = number(&server, WRITTEN).await - before;
    assert!(written < 1_000, "200 duplicates wrote {written} bytes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn who_waits_shares_a_commit() {
    let server = Postgres::start_with(&["-c", "log_statement=all"]).await;
    let store = open(&server).await;
    charge(&store, "first").await.unwrap();
    let before = logged(&server, 0);
    let mut calls = JoinSet::new();
    for nth in 0..64 {
        let store = store.clone();
        calls.spawn(async move { charge(&store, &format!("order-{nth}")).await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|outcome| !outcome.is_replayed()));
    let statements = logged(&server, before);
    assert!(statements < 40, "64 executions took {statements} statements, and 128 one by one");

    // A batch of 500 messages, each a duplicate of one that came before or beside it.
    let before = logged(&server, 0);
    let mut calls = JoinSet::new();
    for nth in 0..500 {
        let store = store.clone();
        calls.spawn(async move {
            loop {
                match charge(&store, &format!("order-{}", nth % 250)).await {
                    Err(Error::InProgress { .. }) => tokio::task::yield_now().await,
                    other => return other.unwrap(),
                }
            }
        });
    }
    let executed = calls.join_all().await.iter().filter(|outcome| !outcome.is_replayed()).count();
    assert_eq!(executed, 250 - 64);
    let statements = logged(&server, before);
    assert!(statements < 100, "500 messages took {statements} statements, and a thousand one by one");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn one_bad_request_fails_alone() {
    let server = Postgres::start().await;
    let store = open(&server).await;
    let mut calls = JoinSet::new();
    for nth in 0..64 {
        let store = store.clone();
        calls.spawn(async move {
            let key = key(format!("{nth}"));
            let scope = if nth == 40 { "with a \0" } else { SCOPE };
            let answer = store.claim(ClaimRequest::new(scope, &key, Owner::random(), LEASE)).await;
            assert_eq!(answer.is_err(), nth == 40, "{nth}: {answer:?}");
            assert!(answer.err().is_none_or(|error| !error.is_unanswered()), "it would be refused again");
        });
    }
    calls.join_all().await;
    let long = "s".repeat(1_025);
    let error = store.claim(ClaimRequest::new(&long, &key("k"), Owner::random(), LEASE)).await.unwrap_err();
    assert!(error.to_string().contains("1025 bytes long, and 1024 are allowed"), "{error}");
    assert!(matches!(
        store.claim(ClaimRequest::new(&long[1..], &key("k".repeat(1_024)), Owner::random(), LEASE)).await.unwrap(),
        ClaimAnswer::Acquired(_)
    ));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn twenty_can_open_an_empty_database_at_once() {
    let server = Postgres::start().await;
    let mut opening = JoinSet::new();
    for _ in 0..20 {
        let url = server.url();
        opening.spawn(async move { PostgresStore::open(&url).await });
    }
    for store in opening.join_all().await {
        charge(&store.unwrap(), "order").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn who_may_not_create_tables_can_use_them() {
    let server = Postgres::start().await;
    execute(&server, "CREATE ROLE app LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let url = server.url().replace("idem@", "app@");
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("its tables could not be created"), "{error}");
    let unmigrated = PostgresStore::options().migrate(false).open(&url).await.unwrap_err();
    assert!(unmigrated.to_string().contains("create the tables with `PostgresStore::migrate`"), "{unmigrated}");

    PostgresStore::migrate(PgPool::connect(&server.url()).await.unwrap()).await.unwrap();
    let error = PostgresStore::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("its tables could not be read"), "{error}");
    assert!(error.to_string().contains("needs SELECT, INSERT, UPDATE and DELETE"), "{error}");
    execute(
        &server,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO app; GRANT SELECT ON idempotency_schema TO app",
    )
    .await;
    let store = PostgresStore::open(&url).await.unwrap();
    assert!(!charge(&store, "order").await.unwrap().is_replayed());

    execute(&server, "DROP TABLE idempotency").await;
    let error = charge(&store, "order").await.unwrap_err();
    assert!(error.to_string().contains("create the tables"), "{error}");
    assert!(matches!(error, Error::Store { .. }));
    execute(&server, "UPDATE idempotency_schema SET version = 7").await;
    let error = PostgresStore::options().migrate(false).open(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("version 7"), "{error}");
}

/// Who isn't let in is told so, in the server's own words too, and not of tables.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn who_is_turned_away_is_told_why() {
    let server = Postgres::start().await;
    execute(&server, "CREATE ROLE app LOGIN PASSWORD 'sesame'").await;
    let file = server.directory().join("data/pg_hba.conf");
    let trusted = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("host all app all scram-sha-256\nhost all barred all reject\n{trusted}")).unwrap();
    server.restart().await;
    let url = server.url();
    for (wrong, what, said, advice) in [
        ("app:opensesame@", "logging in was refused", "password authentication failed for user", "the password"),
        ("nobody@", "logging in was refused", "role \"nobody\" does not exist", "check the user"),
        ("barred@", "logging in was refused", "pg_hba.conf rejects connection", "pg_hba.conf lets it in"),
    ] {
        turned_away(&url.replace("idem@", wrong), [what, said, advice]).await;
    }
    let nowhere = ["there is no such database", "database \"nowhere\" does not exist", "create the database"];
    turned_away(&url.replace("/postgres", "/nowhere"), nowhere).await;
    execute(&server, "GRANT CREATE ON SCHEMA public TO app").await;
    PostgresStore::open(&url.replace("idem@", "app:sesame@")).await.unwrap();
}

async fn turned_away(url: &str, told: [&str; 3]) {
    for options in [PostgresStore::options(), PostgresStore::options().migrate(false)] {
        let error = options.open(url).await.unwrap_err().to_string();
        assert!(told.iter().all(|told| error.contains(told)), "{error}");
        assert!(!error.contains("table") && !error.contains("sesame"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_table_that_is_missing_or_another_is_noticed_at_once() {
    let server = Postgres::start().await;
    open(&server).await;
    let unmigrated = async || {
        let options = PostgresStore::options().migrate(false);
        options.open(&server.url()).await.unwrap_err().to_string()
    };
    execute(&server, "DROP TABLE idempotency").await;
    let error = unmigrated().await;
    assert!(error.contains("relation \"idempotency\" does not exist"), "{error}");
    assert!(error.contains("create the tables with `PostgresStore::migrate`"), "{error}");
    execute(&server, "CREATE TABLE idempotency (k int)").await;
    for error in [unmigrated().await, PostgresStore::open(&server.url()).await.unwrap_err().to_string()] {
        assert!(error.contains("its table `idempotency` is not the one in schema.sql"), "{error}");
    }
    execute(&server, "DROP TABLE idempotency").await;
    // Who may create it does.
    charge(&open(&server).await, "order").await.unwrap();
}

#[tokio::test]
async fn a_wrong_url_is_explained_and_not_shown() {
    for url in [
        "postgres://user:secret@host:port/db",
        "postgres://user:se cret@[host/db",
        "mysql://user:secret@h/d",
        "user:secret",
    ] {
        let error = PostgresStore::open(url).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("postgres://USER:PASSWORD@HOST:PORT/DATABASE"), "{shown}");
        assert!(!shown.contains("cret"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r09_it_reconnects_after_the_server_was_killed() {
    let server = Postgres::start().await;
    let store = open(&server).await;
    let mut calls = JoinSet::new();
    for nth in 0..64 {
        let store = store.clone();
        calls.spawn(async move { charge(&store, &format!("order-{nth}")).await.unwrap() });
    }
    calls.join_all().await;
    server.kill();
    let error = charge(&store, "order-0").await.unwrap_err();
    assert!(matches!(&error, Error::Store { .. }) && error.is_retryable(), "{error}");
    server.restart().await;
    let mut calls = JoinSet::new();
    for nth in 0..64 {
        let store = store.clone();
        calls.spawn(async move { charge(&store, &format!("order-{nth}")).await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(Outcome::is_replayed), "what was completed stays so");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r03_a_waiter_is_woken_by_the_server() {
    let server = Postgres::start().await;
    let (here, there) = (open(&server).await, open(&server).await);
    for (round, how) in [None, Some(Leave::Failed), Some(Leave::OutcomeUnknown), None].into_iter().enumerate() {
        let key = key(format!("{round}"));
        let request = ask(&key);
        let ClaimAnswer::Acquired(grant) = here.claim(request).await.unwrap() else { panic!("not free") };
        // The first wait of a store only begins to listen.
        there.wait(WaitRequest::new(SCOPE, &key, Duration::from_millis(300))).await.unwrap();
        let waiting = tokio::spawn({
            let (there, key) = (there.clone(), key.clone());
            async move {
                let begun = Instant::now();
                there.wait(WaitRequest::new(SCOPE, &key, Duration::from_secs(30))).await.unwrap();
                begun.elapsed()
            }
        });
        let awaited = format!("SELECT count(*) FROM idempotency WHERE key = '{round}' AND awaited");
        while number(&server, &awaited).await == 0 {
            tokio::task::yield_now().await;
        }
        match how {
            None => {
                let record = Record::from_bytes(b"r");
                here.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap()
            }
            Some(how) => here.release(ReleaseRequest::new(&request, grant.fence, how)).await.unwrap(),
        };
        let waited = waiting.await.unwrap();
        assert!(
            waited < Duration::from_millis(900),
            "round {round}: a waiter polls once a second, and waited {waited:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_completion_leaves_the_indexes_alone() {
    let server = Postgres::start().await;
    let store = open(&server).await;
    for nth in 0..2_000 {
        charge(&store, &format!("order-{nth}")).await.unwrap();
    }
    // The connections write their statistics down when they end, and the last one's end is waited for.
    drop(store);
    let updates = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'idempotency'";
    while number(&server, updates).await < 2_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let hot = number(&server, "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'idempotency'").await;
    assert!(hot > 1_900, "{hot} of 2,000 completions were heap-only");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn several_may_sweep_at_once() {
    let server = Postgres::start().await;
    let store = open(&server).await;
    let insert = "INSERT INTO idempotency (scope, key, fence, until, purge_at, attempt, state, previous, owner, ended)
        SELECT 'old', convert_to(n::text, 'UTF8'), 1, 1, 1, 1, 5, 1, decode(md5(n::text), 'hex'), ''
        FROM generate_series(1, 20000) n";
    execute(&server, insert).await;
    complete(&store, &key("new"), &Record::from_bytes(b"r")).await;
    let mut sweeping = JoinSet::new();
    for _ in 0..4 {
        let admin = open(&server).await.admin().unwrap();
        sweeping.spawn(async move { admin.sweep(usize::MAX).await.unwrap() });
    }
    let swept: Vec<_> = sweeping.join_all().await;
    assert_eq!(swept.iter().sum::<usize>(), 20_000, "{swept:?}");
    assert_eq!(number(&server, "SELECT count(*) FROM idempotency").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn expired_rows_are_swept_in_the_background() {
    let server = Postgres::start().await;
    let options: PostgresOptions =
        PostgresStore::options().sweep_interval(Some(Duration::from_millis(20))).sweep_batch(10);
    let store = options.open(&server.url()).await.unwrap();
    let insert = "INSERT INTO idempotency (scope, key, fence, until, purge_at, attempt, state, previous, owner, ended)
        SELECT 'old', convert_to(n::text, 'UTF8'), 1, 1, 1, 1, 5, 1, decode(md5(n::text), 'hex'), ''
        FROM generate_series(1, 95) n";
    execute(&server, insert).await;
    while number(&server, "SELECT count(*) FROM idempotency").await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(store);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_corrupted_row_is_refused_and_not_taken_for_an_absent_one() {
    let server = Postgres::start().await;
    let store = Arc::new(open(&server).await);
    for (column, value) in
        [("state", "9"), ("previous", "7"), ("owner", "'\\x00'"), ("ended", "'\\x00'"), ("fence", "-1")]
    {
        let key = key(column);
        complete(&store, &key, &Record::from_bytes(b"r")).await;
        execute(&server, &format!("UPDATE idempotency SET {column} = {value} WHERE key = '{column}'")).await;
        let error = store.claim(ask(&key)).await.unwrap_err();
        assert!(!error.is_unanswered(), "{error}");
        assert!(error.to_string().contains(&format!("corrupted in its column `{column}`")), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_dropped_call_is_undone() {
    let server = Postgres::start().await;
    let store = open(&server).await;
    for nth in 0..50 {
        let id = format!("order-{nth}");
        // Dropped at some point of its claim, its body or its completion.
        let call = charge(&store, &id);
        let _ = tokio::time::timeout(Duration::from_micros(40 * nth), call).await;
    }
    let admin = store.admin().unwrap();
    // Each key is free for the next one at once, or completed: nobody waits for a lease of a minute.
    for nth in 0..50 {
        let id = format!("order-{nth}");
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(error) = charge(&store, &id).await {
            assert!(matches!(error, Error::InProgress { .. }), "{error}");
            assert!(Instant::now() < deadline, "{id} is held for a caller that has gone");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (entry, _) = admin.get("postgres::charge", &key(&id)).await.unwrap().unwrap();
        assert_eq!(entry.row.state, State::Done);
    }
}

/// Whatever listens there, it says nothing.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://idem@127.0.0.1:{}/db", silent.local_addr().unwrap().port());
    let opened = tokio::time::timeout(Duration::from_secs(20), PostgresStore::open(&url)).await.expect("it gives up");
    let error = opened.unwrap_err();
    assert!(error.to_string().contains("it can't be reached"), "{error}");
}
