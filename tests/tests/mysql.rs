//! `MySqlStore` on a real server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use idem_runtime::admin::Filter;
use idem_runtime::conformance::Suite;
use idem_runtime::protocol::State;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Grant, Key, Leave, Orphans, Owner, Previous, Record, ReleaseRequest,
    RenewRequest, Standing, WaitRequest,
};
use idem_runtime::{Error, IdempotencyStore, MySqlStore, Outcome, idempotent};
use idem_tests::Gate;
use idem_tests::server::MariaDb;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, MySqlConnection, MySqlPool, Row as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const SCOPE: &str = "mysql";
const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn key(text: impl AsRef<str>) -> Key {
    Key::from_bytes(text.as_ref().as_bytes()).unwrap()
}

fn ask(key: &Key) -> ClaimRequest<'_> {
    ClaimRequest::new(SCOPE, key, Owner::random(), LEASE)
}

async fn open(server: &MariaDb) -> MySqlStore {
    MySqlStore::open(&server.url()).await.unwrap()
}

async fn connect(server: &MariaDb) -> MySqlConnection {
    MySqlConnection::connect(&server.url()).await.unwrap()
}

async fn execute(server: &MariaDb, sql: &str) {
    connect(server).await.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
}

async fn number(server: &MariaDb, sql: &str) -> i64 {
    connect(server).await.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap().get(0)
}

/// What the server counts.
async fn status(connection: &mut MySqlConnection, name: &str) -> i64 {
    let sql = format!("SHOW GLOBAL STATUS LIKE '{name}'");
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.unwrap();
    row.get::<String, _>(1).parse().unwrap()
}

/// A table of the numbers up to `most`, in a column `seq`.
fn numbers(most: usize) -> String {
    format!("JSON_TABLE(CONCAT('[0', REPEAT(',0', {most} - 1), ']'), '$[*]' COLUMNS (seq FOR ORDINALITY)) AS numbers")
}

#[idempotent(key = "id", scope = "mysql::charge", store = store)]
async fn charge(store: &MySqlStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok(format!("charged {id}").into())
}

#[idempotent(key = "id", scope = "mysql::park", store = store, on_crash = "park")]
async fn park(store: &MySqlStore, id: &str, gate: &Gate) -> Result<String, Error> {
    gate.pass().await;
    Ok(format!("charged {id}"))
}

async fn acquire(store: &MySqlStore, request: ClaimRequest<'_>) -> Grant {
    match store.claim(request).await.unwrap() {
        ClaimAnswer::Acquired(grant) => grant,
        other => panic!("acquired, not {other:?}"),
    }
}

/// Completes a key.
async fn complete(store: &MySqlStore, key: &Key, result: &Record) {
    let request = ask(key);
    let grant = acquire(store, request).await;
    let done = store.complete(CompleteRequest::new(&request, grant.fence, result, DAY)).await.unwrap();
    assert_eq!(done, Standing::Held);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn mysql_store_conforms() {
    let server = MariaDb::start().await;
    Suite::new().run(|| open(&server)).await;
    Suite::new().processes(2).run(|| open(&server)).await;
}

/// Nothing of the server's settings gets in: neither into the meaning of a key, nor into that of a statement.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn conforms_with_any_collation_mode_and_isolation_and_a_users_pool() {
    for (charset, collation, mode, others) in [
        (
            "utf8mb4",
            "utf8mb4_general_ci",
            "ORACLE,EMPTY_STRING_IS_NULL",
            ["--transaction-isolation=SERIALIZABLE", "--autocommit=0"],
        ),
        (
            "latin1",
            "latin1_swedish_ci",
            "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,IGNORE_SPACE,PAD_CHAR_TO_FULL_LENGTH,\
             SIMULTANEOUS_ASSIGNMENT,NO_UNSIGNED_SUBTRACTION",
            ["--log-bin", "--binlog-format=ROW"],
        ),
    ] {
        let charset = format!("--character-set-server={charset}");
        let (collation, mode) = (format!("--collation-server={collation}"), format!("--sql-mode={mode}"));
        let server =
            MariaDb::start_with(&[&charset, &collation, &mode, others[0], others[1], "--default-time-zone=+09:30"])
                .await;
        execute(&server, "CREATE DATABASE other").await;
        let url = server.url().replace("/idem", "/other");
        Suite::new().processes(2).run(async || MySqlStore::open(&url).await.unwrap()).await;

        execute(&server, "CREATE DATABASE pool").await;
        let url = server.url().replace("/idem", "/pool");
        let options: MySqlConnectOptions = url.parse().unwrap();
        let pool = MySqlPoolOptions::new().connect_with(options.disable_statement_logging()).await.unwrap();
        Suite::new().processes(2).run(async || MySqlStore::open_with(pool.clone()).await.unwrap()).await;
        let open = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";
        assert_eq!(number(&server, open).await, 0, "no transaction is left open");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn keys_are_told_apart_byte_by_byte() {
    let server = MariaDb::start_with(&[
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
        "--sql-mode=",
    ])
    .await;
    let store = open(&server).await;
    let keys: [&[u8]; 11] =
        [b"a", b"A", b"a ", b"a\0", "\u{e4}".as_bytes(), b"a\xcc\x88", b"'", b"\\'", b"\\", b"\xff", b"%"];
    for (nth, bytes) in keys.iter().enumerate() {
        let key = Key::from_bytes(bytes).unwrap();
        complete(&store, &key, &Record::from_bytes(nth.to_string().as_bytes())).await;
    }
    for (nth, bytes) in keys.iter().enumerate() {
        let key = Key::from_bytes(bytes).unwrap();
        let answer = store.claim(ask(&key)).await.unwrap();
        assert_eq!(answer, ClaimAnswer::Completed(Record::from_bytes(nth.to_string().as_bytes())));
    }
    let (upper, a) = (SCOPE.to_uppercase(), key("a"));
    acquire(&store, ClaimRequest::new(&upper, &a, Owner::random(), LEASE)).await;

    let long = "s".repeat(1_025);
    let error = store.claim(ClaimRequest::new(&long, &a, Owner::random(), LEASE)).await.unwrap_err();
    assert!(error.to_string().contains("1025 bytes long, and 1024 are allowed"), "{error}");
    assert!(!error.is_unanswered());
    acquire(&store, ClaimRequest::new(&long[1..], &key("k".repeat(1_024)), Owner::random(), LEASE)).await;
}

/// Leaves a key as an orphan, or completed and over, or absent.
async fn prepare(store: &MySqlStore, key: &Key, how: usize) {
    let request = ask(key);
    match how % 3 {
        1 => {
            let grant = acquire(store, request).await;
            let leave = ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown);
            assert_eq!(store.release(leave).await.unwrap(), Standing::Held);
        }
        2 => {
            let grant = acquire(store, request).await;
            let record = Record::from_bytes(b"old");
            let brief = CompleteRequest::new(&request, grant.fence, &record, Duration::from_micros(1));
            assert_eq!(store.complete(brief).await.unwrap(), Standing::Held);
        }
        _ => {}
    }
}

/// A claim that meets others is won, running or completed, and nothing else. Each racer is a store of its own, so that
/// they meet in the server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r02_no_answer_of_a_race_is_neither() {
    let server = MariaDb::start().await;
    let mut stores = Vec::new();
    for _ in 0..64 {
        stores.push(open(&server).await);
    }
    for round in 0..60 {
        let key = key(format!("round {round}"));
        prepare(&stores[0], &key, round).await;
        let mut racers = JoinSet::new();
        for store in &stores {
            let (store, key) = (store.clone(), key.clone());
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

/// New keys beside each other, endings and sweeps, all at once: nobody locks what he didn't ask for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn neighbours_and_sweeps_cause_no_deadlocks() {
    let server = MariaDb::start().await;
    let mut stores = Vec::new();
    for _ in 0..4 {
        stores.push(open(&server).await);
    }
    // What the sweeps delete lies between the new keys.
    let expired =
        "INSERT INTO idempotency (scope, `key`, state, owner, fence, until, previous, attempt, ended, purge_at)
        SELECT 'mysql', CONCAT(LPAD(seq, 5, '0'), ' old'), 5, UNHEX(LPAD(HEX(seq), 32, '0')), 1, 1, 1, 1, '', 1 FROM ";
    execute(&server, &format!("{expired}{}", numbers(4_000))).await;
    let mut watch = connect(&server).await;
    let before = status(&mut watch, "Innodb_deadlocks").await;
    let mut racers = JoinSet::new();
    for racer in 0..64 {
        let store = stores[racer % stores.len()].clone();
        racers.spawn(async move {
            for nth in 0..30 {
                let key = key(format!("{:05}", nth * 64 + racer));
                complete(&store, &key, &Record::from_bytes(b"r")).await;
            }
            0
        });
    }
    for store in &stores {
        let admin = store.admin().unwrap();
        racers.spawn(async move {
            let mut swept = 0;
            loop {
                match admin.sweep(50).await.unwrap() {
                    0 => return swept,
                    more => swept += more,
                }
            }
        });
    }
    let swept: usize = racers.join_all().await.into_iter().sum();
    assert_eq!(swept, 4_000);
    let deadlocks = status(&mut watch, "Innodb_deadlocks").await - before;
    assert!(deadlocks <= 1, "{deadlocks} deadlocks in 3,840 statements");
}

/// Stands between a store and its server, and counts the requests.
struct Proxy {
    port: u16,
    requests: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(server: &MariaDb) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, requests, target) = (listener.local_addr().unwrap().port(), Arc::default(), server.port());
        let counter: Arc<AtomicUsize> = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut header = [0; 4];
                    while from_client.read_exact(&mut header).await.is_ok() {
                        let mut packet = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
                        from_client.read_exact(&mut packet).await.unwrap();
                        // The first packet of a request has the number 0; 1 says goodbye.
                        counter.fetch_add(usize::from(header[3] == 0 && packet[0] != 1), Ordering::SeqCst);
                        if to_server.write_all(&[&header[..], &packet].concat()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, requests }
    }

    fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}/idem", self.port)
    }

    /// Requests since the last look.
    fn taken(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r11_an_operation_is_one_round_trip_on_every_path() {
    let server = MariaDb::start().await;
    let proxy = Proxy::start(&server).await;
    let store = MySqlStore::open(&proxy.url()).await.unwrap();
    proxy.taken();
    assert!(!charge(&store, "order").await.unwrap().is_replayed());
    assert_eq!(proxy.taken(), 2, "a first execution");
    assert!(charge(&store, "order").await.unwrap().is_replayed());
    assert_eq!(proxy.taken(), 1, "a duplicate");

    let gate = Gate::default();
    let mut parked = Box::pin(park(&store, "order", &gate));
    tokio::select! {
        _ = &mut parked => panic!("it waits"),
        () = gate.started() => {}
    }
    assert_eq!(proxy.taken(), 1, "a claim");
    assert!(matches!(park(&store, "order", &gate).await, Err(Error::InProgress { .. })));
    assert_eq!(proxy.taken(), 1, "a duplicate of a running key");
    drop(parked);
    let admin = store.admin().unwrap();
    while admin.list(Filter::all().state(State::Unknown)).await.unwrap().is_empty() {}
    proxy.taken();
    assert!(matches!(park(&store, "order", &gate).await, Err(Error::OutcomeUnknown { .. })));
    assert_eq!(proxy.taken(), 1, "a duplicate of a parked one");

    let (free, record) = (key("free"), Record::from_bytes(b"r"));
    let request = ask(&free);
    let grant = acquire(&store, request).await;
    proxy.taken();
    assert_eq!(store.renew(RenewRequest::new(&request, grant.fence)).await.unwrap(), Standing::Held);
    assert_eq!(proxy.taken(), 1, "a renewal");
    store.release(ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
    assert_eq!(proxy.taken(), 1, "a release");
    let mut refusing = ask(&free);
    refusing.orphans = Orphans::Refuse;
    assert_eq!(store.claim(refusing).await.unwrap(), ClaimAnswer::Orphaned);
    assert_eq!(proxy.taken(), 1, "one that finds it parked");
    store.release(ReleaseRequest::new(&refusing, 0, Leave::NotRun)).await.unwrap();
    assert_eq!(proxy.taken(), 1, "a call that gives up");
    let request = ask(&free);
    let grant = acquire(&store, request).await;
    assert_eq!(proxy.taken(), 1, "a takeover");
    store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
    assert_eq!(proxy.taken(), 1, "a completion");
}

/// Neither the log grows, nor is a row written, nor is a lock waited for.
/// By how much a counter may grow that says what was written.
fn most(counter: &str) -> i64 {
    if counter.contains("lsn") { 1_000 } else { 0 }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_duplicate_writes_nothing_and_locks_nothing() {
    let server = MariaDb::start_with(&["--log-bin"]).await;
    let store = open(&server).await;
    let (done, running) = (key("done"), key("running"));
    complete(&store, &done, &Record::from_bytes(b"r")).await;
    acquire(&store, ask(&running)).await;

    // Someone else holds both rows.
    let mut holder = connect(&server).await;
    holder.execute(sqlx::raw_sql("START TRANSACTION; SELECT * FROM idempotency FOR UPDATE")).await.unwrap();
    let mut watch = connect(&server).await;
    const WRITES: [&str; 5] =
        ["Handler_update", "Handler_delete", "Innodb_row_lock_waits", "Innodb_lsn_current", "Binlog_bytes_written"];
    let mut written = Vec::new();
    // The server's own notes are in its log too, its statistics and what it purges, but not each time.
    for _ in 0..5 {
        written.clear();
        for name in WRITES {
            written.push((name, status(&mut watch, name).await));
        }
        let mut duplicates = JoinSet::new();
        for nth in 0..200 {
            let (store, key) = (store.clone(), if nth % 2 == 0 { done.clone() } else { running.clone() });
            duplicates.spawn(async move { store.claim(ask(&key)).await.unwrap() });
        }
        let answers = tokio::time::timeout(Duration::from_secs(4), duplicates.join_all()).await.expect("nobody waits");
        assert!(answers.iter().all(|answer| !matches!(answer, ClaimAnswer::Acquired(_))));
        for (name, written) in &mut written {
            *written = status(&mut watch, name).await - *written;
        }
        if written.iter().all(|(name, written)| *written <= most(name)) {
            break;
        }
    }
    for (name, written) in written {
        assert!(written <= most(name), "200 duplicates: {name} + {written}");
    }
    holder.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_waits_shares_a_commit_and_who_is_alone_does_not_wait() {
    let server = MariaDb::start().await;
    let proxy = Proxy::start(&server).await;
    let store = MySqlStore::open(&proxy.url()).await.unwrap();
    let mut watch = connect(&server).await;
    charge(&store, "first").await.unwrap();
    let before = status(&mut watch, "Innodb_log_writes").await;
    proxy.taken();
    let mut calls = JoinSet::new();
    for nth in 0..64 {
        let store = store.clone();
        calls.spawn(async move { charge(&store, &format!("order-{nth}")).await.unwrap() });
    }
    assert!(calls.join_all().await.iter().all(|outcome| !outcome.is_replayed()));
    let syncs = status(&mut watch, "Innodb_log_writes").await - before;
    let trips = proxy.taken();
    assert!(trips < 48, "64 executions took {trips} round trips, and 128 one by one");
    assert!(syncs < 48, "64 executions took {syncs} writes of the log, and 128 one by one");
    let batches = status(&mut watch, "Com_begin").await;
    for nth in 0..10 {
        charge(&store, &format!("alone-{nth}")).await.unwrap();
    }
    assert_eq!(status(&mut watch, "Com_begin").await, batches, "one at a time needs no transaction");

    // A batch of 500 messages, each a duplicate of one that came before or beside it.
    proxy.taken();
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
    let trips = proxy.taken();
    assert!(trips < 150, "500 messages took {trips} round trips, and a thousand one by one");
}

/// What is refused for one request in a transaction of many is refused for that one only, and leaves no lock behind.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn one_bad_request_fails_alone() {
    let server = MariaDb::start().await;
    let pool = MySqlPoolOptions::new().max_connections(4).connect(&server.url()).await.unwrap();
    for store in [open(&server).await, MySqlStore::open_with(pool).await.unwrap()] {
        execute(
            &server,
            "DELETE FROM idempotency; DROP TRIGGER IF EXISTS refuse; DROP TRIGGER IF EXISTS refuse_too;
             CREATE TRIGGER refuse BEFORE INSERT ON idempotency FOR EACH ROW
             IF NEW.`key` = '40' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; END IF;
             CREATE TRIGGER refuse_too BEFORE UPDATE ON idempotency FOR EACH ROW
             IF NEW.`key` = '41' AND NEW.state = 5 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'nor this'; END IF",
        )
        .await;
        let mut calls = JoinSet::new();
        for nth in 0..64 {
            let store = store.clone();
            calls.spawn(async move {
                let key = key(format!("{nth}"));
                let request = ask(&key);
                let answer = store.claim(request).await;
                assert_eq!(answer.is_err(), nth == 40, "{nth}: {answer:?}");
                let grant = match answer {
                    Ok(ClaimAnswer::Acquired(grant)) => grant,
                    Ok(other) => panic!("{nth}: acquired, not {other:?}"),
                    Err(error) => return assert!(!error.is_unanswered(), "it would be refused again: {error}"),
                };
                let record = Record::from_bytes(b"r");
                let done = store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await;
                assert_eq!(done.is_err(), nth == 41, "{nth}: {done:?}");
                assert!(done.is_err() || done.is_ok_and(|standing| standing == Standing::Held), "{nth}");
            });
        }
        calls.join_all().await;
        let done = number(&server, "SELECT COUNT(*) FROM idempotency WHERE state = 5").await;
        assert_eq!(done, 62);
        let locked = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_rows_locked > 0";
        // The server undoes what a closed connection leaves as soon as it notices.
        let deadline = Instant::now() + Duration::from_secs(5);
        while number(&server, locked).await > 0 {
            assert!(Instant::now() < deadline, "a transaction is left open");
        }
    }
}

/// A completion that is sent together with others, again, or by someone else, is told the truth.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r09_each_of_a_batch_is_told_its_own_standing() {
    let server = MariaDb::start().await;
    let store = open(&server).await;
    let mut claims = Vec::new();
    for nth in 0..40 {
        let (key, owner) = (key(format!("{nth:02}")), Owner::random());
        let request = ClaimRequest::new(SCOPE, &key, owner, LEASE);
        let fence = acquire(&store, request).await.fence;
        claims.push((key, owner, fence));
    }
    for round in 0..2 {
        let mut calls = JoinSet::new();
        for (nth, (key, owner, fence)) in claims.iter().cloned().enumerate() {
            let store = store.clone();
            calls.spawn(async move {
                let (owner, fence) = match nth % 4 {
                    1 => (Owner::random(), fence),
                    2 => (owner, fence + 1),
                    // Of a key that is completed by now.
                    3 if round == 1 => (Owner::random(), fence),
                    _ => (owner, fence),
                };
                let request = ClaimRequest::new(SCOPE, &key, owner, LEASE);
                let record = Record::from_bytes(key.as_bytes());
                let standing = store.complete(CompleteRequest::new(&request, fence, &record, DAY)).await.unwrap();
                assert_eq!(standing == Standing::Held, matches!((nth % 4, round), (0, _) | (3, 0)), "{key}");
            });
        }
        calls.join_all().await;
    }
    for (nth, (key, ..)) in claims.iter().enumerate() {
        match store.claim(ask(key)).await.unwrap() {
            ClaimAnswer::Completed(record) => assert_eq!(record.as_bytes(), key.as_bytes()),
            other => assert!(matches!(nth % 4, 1 | 2), "{key}: {other:?}"),
        }
    }
}

/// New keys, orphans, repeats, and keys that others hold, asked for together.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r09_each_claim_of_a_batch_is_answered_for_itself() {
    let server = MariaDb::start().await;
    let store = open(&server).await;
    let mut claims = Vec::new();
    for nth in 0..60 {
        let (key, owner) = (key(format!("{nth:02}")), Owner::random());
        let before = match nth % 5 {
            0 => 0,
            1 => acquire(&store, ClaimRequest::new(SCOPE, &key, owner, Duration::from_secs(1))).await.fence,
            2 => acquire(&store, ask(&key)).await.fence,
            3 => {
                let request = ask(&key);
                let grant = acquire(&store, request).await;
                store.release(ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
                grant.fence
            }
            _ => {
                complete(&store, &key, &Record::from_bytes(key.as_bytes())).await;
                0
            }
        };
        claims.push((key, owner, before));
    }
    let mut calls = JoinSet::new();
    for (nth, (key, owner, before)) in claims.iter().cloned().enumerate() {
        let store = store.clone();
        calls.spawn(async move {
            let answer = store.claim(ClaimRequest::new(SCOPE, &key, owner, LEASE)).await.unwrap();
            match (nth % 5, &answer) {
                (0, ClaimAnswer::Acquired(grant)) => assert_eq!((grant.attempt, grant.previous), (1, Previous::First)),
                (1, ClaimAnswer::Acquired(grant)) => assert_eq!(grant.fence, before, "the same again"),
                (2, ClaimAnswer::InProgress { remaining }) => assert!(*remaining > LEASE / 2),
                (3, ClaimAnswer::Acquired(grant)) => {
                    assert_eq!((grant.attempt, grant.previous), (2, Previous::AfterCrash { fence: before }));
                }
                (4, ClaimAnswer::Completed(record)) => assert_eq!(record.as_bytes(), key.as_bytes()),
                _ => panic!("{key}: {answer:?}"),
            }
        });
    }
    calls.join_all().await;
    let short = "SELECT COUNT(*) FROM idempotency WHERE state = 1 AND
        until < TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + 30000000";
    assert_eq!(number(&server, short).await, 0, "a repeated claim renews its lease");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r15_a_large_result_is_kept_or_known_to_be_too_large() {
    let server = MariaDb::start_with(&["--max-allowed-packet=1M"]).await;
    let store = open(&server).await;
    let most = store.max_record_len();
    assert!((400_000..512 * 1024).contains(&most), "{most}");
    let mut calls = JoinSet::new();
    // Together they are larger than the server takes at once.
    for nth in 0..12 {
        let store = store.clone();
        calls.spawn(async move {
            let (key, record) = (key(format!("{nth}")), Record::from_bytes(&vec![nth; most]));
            complete(&store, &key, &record).await;
            assert_eq!(store.claim(ask(&key)).await.unwrap(), ClaimAnswer::Completed(record));
        });
    }
    calls.join_all().await;
    // 16 MiB, and the server takes that, and the driver.
    let server = MariaDb::start_with(&["--max-allowed-packet=64M", "--innodb-log-file-size=256M"]).await;
    let store = open(&server).await;
    assert_eq!(store.max_record_len(), 16 * 1024 * 1024);
    complete(&store, &key("large"), &Record::from_bytes(&vec![7; store.max_record_len()])).await;
    let ClaimAnswer::Completed(record) = store.claim(ask(&key("large"))).await.unwrap() else { panic!("completed") };
    assert_eq!(record.as_bytes().len(), store.max_record_len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn twenty_can_open_an_empty_database_at_once() {
    let server = MariaDb::start().await;
    let mut opening = JoinSet::new();
    for _ in 0..20 {
        let url = server.url();
        opening.spawn(async move { MySqlStore::open(&url).await });
    }
    for store in opening.join_all().await {
        charge(&store.unwrap(), "order").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_may_not_create_tables_can_use_them() {
    let server = MariaDb::start().await;
    execute(&server, "CREATE USER app IDENTIFIED BY 'sesame'; GRANT SHOW VIEW ON idem.* TO app").await;
    let url = server.url().replace("root@", "app:sesame@");
    let error = MySqlStore::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("its tables could not be created"), "{error}");
    let unmigrated = MySqlStore::options().migrate(false).open(&server.url()).await.unwrap_err();
    assert!(unmigrated.to_string().contains("create the tables with `MySqlStore::migrate`"), "{unmigrated}");
    let wrong = MySqlStore::open(&url.replace("sesame", "opensesame")).await.unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("sesame"), "{wrong}");

    MySqlStore::migrate(MySqlPool::connect(&server.url()).await.unwrap()).await.unwrap();
    let error = MySqlStore::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("needs a user with SELECT, INSERT, UPDATE and DELETE"), "{error}");
    execute(
        &server,
        "GRANT SELECT, INSERT, UPDATE, DELETE ON idem.idempotency TO app; GRANT SELECT ON idem.idempotency_schema TO app",
    )
    .await;
    let store = MySqlStore::open(&url).await.unwrap();
    assert!(!charge(&store, "order").await.unwrap().is_replayed());
    assert_eq!(format!("{store:?}"), "MySqlStore");

    execute(&server, "SET GLOBAL read_only = 1").await;
    let error = charge(&store, "another").await.unwrap_err();
    assert!(error.to_string().contains("connect to the primary"), "{error}");
    execute(&server, "SET GLOBAL read_only = 0; DROP TABLE idempotency").await;
    let error = charge(&store, "order").await.unwrap_err();
    assert!(error.to_string().contains("create the tables"), "{error}");
    assert!(matches!(error, Error::Store { .. }));
    execute(&server, "UPDATE idempotency_schema SET version = 7; CREATE TABLE idempotency (k INT)").await;
    let error = MySqlStore::options().migrate(false).open(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("is not the one in schema.sql"), "{error}");
    execute(&server, "DROP TABLE idempotency").await;
    MySqlStore::migrate(MySqlPool::connect(&server.url()).await.unwrap()).await.unwrap();
    let error = MySqlStore::open(&server.url()).await.unwrap_err();
    assert!(error.to_string().contains("version 7"), "{error}");
}

/// Who isn't let in is told so, in the server's own words too, and not of tables.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn who_is_turned_away_is_told_why() {
    let server = MariaDb::start().await;
    let users = "CREATE USER app IDENTIFIED BY 'sesame'; CREATE USER far@'10.9.8.7'; CREATE USER locked ACCOUNT LOCK";
    execute(&server, users).await;
    let url = server.url();
    let refused = "logging in was refused";
    for (wrong, database, told) in [
        ("app:opensesame@", "idem", [refused, "Access denied for user 'app'", "check the user and the password"]),
        ("nobody@", "idem", [refused, "Access denied for user 'nobody'", "check the user and the password"]),
        ("far@", "idem", [refused, "Access denied for user 'far'", "may come from here"]),
        ("locked@", "idem", [refused, "this account is locked", "unlock the account"]),
        ("root@", "nowhere", ["there is no such database", "Unknown database 'nowhere'", "create the database"]),
        ("app:sesame@", "idem", ["may not use this database", "Access denied for user 'app'", "a user with SELECT"]),
    ] {
        let url = url.replace("root@", wrong).replace("/idem", &format!("/{database}"));
        for options in [MySqlStore::options(), MySqlStore::options().migrate(false)] {
            let error = options.open(&url).await.unwrap_err().to_string();
            assert!(told.iter().all(|told| error.contains(told)), "{error}");
            assert!(!error.contains("tables could") && !error.contains("sesame"), "{error}");
        }
    }
    execute(&server, "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON idem.* TO app").await;
    MySqlStore::open(&url.replace("root@", "app:sesame@")).await.unwrap();
}

#[tokio::test]
async fn a_wrong_url_is_explained_and_not_shown() {
    for url in [
        "mysql://user:secret@host:port/db",
        "mysql://user:se cret@[host/db",
        "mysql://user:secret@h/d?ssl-mode=secret",
        "postgres://user:secret@h/d",
        "user:secret",
    ] {
        let error = MySqlStore::open(url).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("mysql://USER:PASSWORD@HOST:PORT/DATABASE"), "{shown}");
        assert!(!shown.contains("cret"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r09_it_reconnects_after_the_server_was_killed() {
    let server = MariaDb::start().await;
    let store = open(&server).await;
    let all = || async {
        let mut calls = JoinSet::new();
        for nth in 0..64 {
            let store = store.clone();
            calls.spawn(async move { charge(&store, &format!("order-{nth}")).await.unwrap() });
        }
        calls.join_all().await
    };
    all().await;
    server.kill();
    let error = charge(&store, "order-0").await.unwrap_err();
    assert!(matches!(&error, Error::Store { .. }) && error.is_retryable(), "{error}");
    server.restart().await;
    assert!(all().await.iter().all(Outcome::is_replayed), "what was completed stays so");

    // It also can be gone between two calls: the first that finds its connection dead tries no other of that time.
    let admin = store.admin().unwrap();
    let mut looks = JoinSet::new();
    for nth in 0..8 {
        let admin = Arc::clone(&admin);
        looks.spawn(async move { admin.get("mysql::charge", &key(format!("order-{nth}"))).await.unwrap().is_some() });
    }
    looks.join_all().await;
    server.kill();
    server.restart().await;
    assert!(charge(&store, "order-0").await.unwrap().is_replayed());
    assert!(all().await.iter().all(Outcome::is_replayed));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r03_a_waiter_is_woken_in_its_process_and_polls_for_others() {
    let server = MariaDb::start().await;
    let (here, there) = (open(&server).await, open(&server).await);
    let mut rounds = Vec::new();
    for nth in 0..5 {
        let (key, record) = (key(format!("{nth}")), Record::from_bytes(b"r"));
        let request = ask(&key);
        let grant = acquire(&here, request).await;
        let begun = Instant::now();
        there.wait(WaitRequest::new(SCOPE, &key, DAY)).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(50), "a lease is waited for");
        let mut waiting = Box::pin(async {
            let mut wait = WaitRequest::new(SCOPE, &key, DAY);
            wait.round = 9;
            let mut rounds = 0;
            loop {
                let begun = Instant::now();
                here.wait(wait).await.unwrap();
                rounds += 1;
                if begun.elapsed() < Duration::from_millis(240) {
                    return rounds;
                }
            }
        });
        // Until it listens.
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
        here.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
        rounds.push(waiting.await);
        let begun = Instant::now();
        there.wait(WaitRequest::new(SCOPE, &key, DAY)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(5), "who is done isn't waited for");
    }
    // Who isn't told sees it in the second round; a machine that stalls makes that of some.
    assert!(rounds.contains(&1), "{rounds:?}");
}

const EXPIRED: &str = "INSERT INTO idempotency
    (scope, `key`, state, owner, fence, until, previous, attempt, ended, purge_at)
    SELECT 'old', seq, 5, UNHEX(LPAD(HEX(seq), 32, '0')), 1, 1, 1, 1, '', 1 FROM ";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn several_may_sweep_at_once() {
    let server = MariaDb::start().await;
    let store = open(&server).await;
    execute(&server, &format!("{EXPIRED}{}", numbers(20_000))).await;
    complete(&store, &key("new"), &Record::from_bytes(b"r")).await;
    let mut sweeping = JoinSet::new();
    for _ in 0..4 {
        let admin = open(&server).await.admin().unwrap();
        sweeping.spawn(async move {
            let mut swept = 0;
            // Others may have locked what is left.
            while admin.stats().await.unwrap().sweepable > 0 {
                swept += admin.sweep(usize::MAX).await.unwrap();
            }
            swept
        });
    }
    let swept: Vec<_> = sweeping.join_all().await;
    assert_eq!(swept.iter().sum::<usize>(), 20_000, "{swept:?}");
    assert_eq!(number(&server, "SELECT COUNT(*) FROM idempotency").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn expired_rows_are_swept_in_the_background_until_the_store_is_closed() {
    let server = MariaDb::start().await;
    let options = MySqlStore::options().sweep_interval(Some(Duration::from_millis(20))).sweep_batch(10);
    let store = options.open(&server.url()).await.unwrap();
    execute(&server, &format!("{EXPIRED}{}", numbers(95))).await;
    while number(&server, "SELECT COUNT(*) FROM idempotency").await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(store);
    let connected = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'idem'";
    while number(&server, connected).await > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_completion_leaves_the_secondary_index_alone() {
    let server = MariaDb::start().await;
    let store = open(&server).await;
    let mut before = None;
    for nth in 0..50 {
        let key = key(format!("{nth}"));
        let request = ask(&key);
        let grant = acquire(&store, request).await;
        let at = format!("SELECT purge_at FROM idempotency WHERE `key` = '{nth}'");
        before.replace(number(&server, &at).await);
        let record = Record::from_bytes(b"r");
        let complete = CompleteRequest::new(&request, grant.fence, &record, Duration::from_secs(7 * 24 * 60 * 60));
        store.complete(complete).await.unwrap();
        assert_eq!(Some(number(&server, &at).await), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn a_corrupted_row_is_refused_and_not_taken_for_an_absent_one() {
    let server = MariaDb::start().await;
    let store = open(&server).await;
    for (column, value) in [("state", "9"), ("previous", "7"), ("ended", "'x'"), ("fence", "-1"), ("attempt", "-1")] {
        let key = key(column);
        complete(&store, &key, &Record::from_bytes(b"r")).await;
        execute(&server, &format!("UPDATE idempotency SET {column} = {value} WHERE `key` = '{column}'")).await;
        let error = store.claim(ask(&key)).await.unwrap_err();
        assert!(!error.is_unanswered(), "{error}");
        let told = format!("the row of key `{column}` in scope `mysql` is corrupted in its column `{column}`");
        assert!(error.to_string().contains(&told), "{error}");
    }
    // A completed row without its record is one, and its handler doesn't run again.
    charge(&store, "order").await.unwrap();
    execute(&server, "UPDATE idempotency SET record = NULL WHERE `key` = 'order'").await;
    let error = charge(&store, "order").await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn r13_a_dropped_call_is_undone() {
    let server = MariaDb::start().await;
    let pool = MySqlPoolOptions::new().max_connections(3).connect(&server.url()).await.unwrap();
    for (name, store) in [("own", open(&server).await), ("pool", MySqlStore::open_with(pool).await.unwrap())] {
        for nth in 0..50 {
            let id = format!("{name}-{nth}");
            // Dropped at some point of its claim, its body or its completion.
            let call = charge(&store, &id);
            let _ = tokio::time::timeout(Duration::from_micros(40 * nth), call).await;
        }
        let admin = store.admin().unwrap();
        // Each key is free for the next one at once, or completed: nobody waits for a lease of a minute.
        for nth in 0..50 {
            let id = format!("{name}-{nth}");
            let deadline = Instant::now() + Duration::from_secs(20);
            while let Err(error) = charge(&store, &id).await {
                assert!(matches!(error, Error::InProgress { .. }), "{error}");
                assert!(Instant::now() < deadline, "{id} is held for a caller that has gone");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let (entry, _) = admin.get("mysql::charge", &key(&id)).await.unwrap().unwrap();
            assert_eq!(entry.row.state, State::Done);
        }
    }
}

/// Whatever listens there, it says nothing.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mysql://root@127.0.0.1:{}/db", silent.local_addr().unwrap().port());
    let opened = tokio::time::timeout(Duration::from_secs(20), MySqlStore::open(&url)).await.expect("it gives up");
    let error = opened.unwrap_err();
    assert!(error.to_string().contains("it can't be reached"), "{error}");
}
