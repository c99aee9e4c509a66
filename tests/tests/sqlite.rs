//! What is particular to the SQLite store: the file, its processes, its syncs, its threads, its operator.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::protocol::State;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Durability, Key, Leave, Orphans, Owner, Previous, Record,
    ReleaseRequest, RenewRequest, SqliteOptions, Standing, WaitRequest,
};
use idem_runtime::{Error, IdempotencyAdmin, IdempotencyStore, SqliteStore, idempotent};
use idem_tests::Gate;
use idem_tests::operations::follow_the_protocol;
use idem_tests::steps::{DAY, LEASE, acquire, execute, key, record, replay, request};
use idem_tests::vfs;
use rusqlite::Connection;
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("idem.sqlite")
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path).await.unwrap()
}

fn config_message(result: Result<impl std::fmt::Debug, Error>) -> String {
    match result {
        Err(error @ Error::Config { .. }) => error.to_string(),
        other => panic!("a configuration error, not {other:?}"),
    }
}

#[tokio::test]
async fn completions_persist() {
    let directory = directory();
    let path = file(&directory);
    let large = Record::from_bytes(&vec![7; 300_000]);
    let first = open(&path).await;
    let before = execute(&first, "charge", &key("order-1"), &record("paid")).await;
    execute(&first, "charge", &key("order-2"), &large).await;
    execute(&first, "charge", &key("order-3"), &record("")).await;
    drop(first);

    let again = open(&path).await;
    assert_eq!(replay(&again, "charge", &key("order-1")).await, record("paid"));
    assert_eq!(replay(&again, "charge", &key("order-2")).await, large);
    assert_eq!(replay(&again, "charge", &key("order-3")).await, record(""));
    let admin = again.admin().unwrap();
    admin.forget("charge", &key("order-1")).await.unwrap();
    let after = acquire(&again, request("charge", &key("order-1"))).await;
    assert!(after.fence > before.fence + 1, "r08: fences grow over a reopening and a forgetting");
}

#[tokio::test]
async fn keys_are_binary_safe_and_case_sensitive() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let keys: [&[u8]; 8] =
        [b"a1", b"A1", b"a1 ", b"a1\0", b"a1\0x", &[0xff, 0xfe], "ä".as_bytes(), "a\u{308}".as_bytes()];
    let scopes = ["s", "S", "s\0", "s ", ""];
    for scope in scopes {
        for (nth, bytes) in keys.iter().enumerate() {
            let result = record(&format!("{scope} {nth}"));
            execute(&store, scope, &Key::from_bytes(bytes).unwrap(), &result).await;
        }
    }
    for scope in scopes {
        for (nth, bytes) in keys.iter().enumerate() {
            let result = record(&format!("{scope} {nth}"));
            assert_eq!(replay(&store, scope, &Key::from_bytes(bytes).unwrap()).await, result);
        }
    }
    let longest = Key::from_bytes(&[b'k'; Key::MAX_LEN]).unwrap();
    execute(&store, "s", &longest, &record("long")).await;
    assert_eq!(replay(&store, "s", &longest).await, record("long"));
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_other() {
    let directory = directory();
    let (one, two) = (open(&file(&directory)).await, open(&file(&directory)).await);
    let key = key("k");
    let claim = request("s", &key);
    let grant = acquire(&one, claim).await;
    assert!(matches!(two.claim(request("s", &key)).await.unwrap(), ClaimAnswer::InProgress { .. }));
    // The other handle takes the renewal and the completion just as well.
    assert_eq!(two.renew(RenewRequest::new(&claim, grant.fence)).await.unwrap(), Standing::Held);
    let result = record("r");
    let complete = CompleteRequest::new(&claim, grant.fence, &result, DAY);
    assert_eq!(two.complete(complete).await.unwrap(), Standing::Held);
    assert_eq!(replay(&one, "s", &key).await, result);
}

#[tokio::test]
async fn rows_are_what_the_protocol_says() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    follow_the_protocol(&store, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_of_many_racers_one_wins() {
    let directory = directory();
    let stores = [open(&file(&directory)).await, open(&file(&directory)).await];
    for round in 0..20 {
        let key = key(format!("k{round}"));
        let racers: Vec<_> = (0..32)
            .map(|nth| {
                let (store, key) = (stores[nth % 2].clone(), key.clone());
                tokio::spawn(async move { store.claim(request("s", &key)).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += usize::from(matches!(racer.await.unwrap(), ClaimAnswer::Acquired(_)));
        }
        assert_eq!(winners, 1);
    }
}

/// Not a test of its own: what a process of `twenty_processes_start_at_once` does.
#[tokio::test]
async fn process_that_starts() {
    let Some(path) = std::env::var_os("IDEM_TEST_STARTS_ON") else { return };
    let store = open(Path::new(&path)).await;
    let key = key(std::process::id().to_string());
    execute(&store, "s", &key, &record("started")).await;
}

#[tokio::test]
async fn twenty_processes_start_at_once() {
    let directory = directory();
    let path = file(&directory);
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_that_starts", "--quiet"])
            .env("IDEM_TEST_STARTS_ON", &path)
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..20).map(|_| start()).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let stats = open(&path).await.admin().unwrap().stats().await.unwrap();
    assert_eq!(stats.completed, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_stores_are_opened_at_once() {
    let directory = directory();
    let opening: Vec<_> = (0..20).map(|_| tokio::spawn(SqliteStore::open(file(&directory)))).collect();
    for store in opening {
        store.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_no_database_file_is_refused_with_a_reason() {
    let directory = directory();
    let inside = |name: &str| directory.path().join(name);
    for in_memory in ["", ":memory:"] {
        let message = config_message(SqliteStore::open(in_memory).await);
        assert!(message.contains("MemoryStore") && message.contains("name a file"), "{message}");
        config_message(idem_runtime::connect(&format!("sqlite:{in_memory}")).await);
        config_message(idem_runtime::connect(&format!("sqlite://{in_memory}")).await);
    }
    let message = config_message(SqliteStore::open(directory.path()).await);
    assert!(message.contains("directory"), "{message}");
    let message = config_message(SqliteStore::open(inside("no/such.sqlite")).await);
    assert!(message.contains("does not exist"), "{message}");
    std::fs::write(inside("letter.txt"), "Dear Sir or Madam, ".repeat(100)).unwrap();
    let message = config_message(SqliteStore::open(inside("letter.txt")).await);
    assert!(message.contains("not a SQLite database"), "{message}");
    let message = config_message(SqliteStore::open("file:x.sqlite").await);
    assert!(message.contains("URI"), "{message}");

    let connection = Connection::open(inside("other.sqlite")).unwrap();
    connection.execute_batch("CREATE TABLE idempotency (purge_at INTEGER)").unwrap();
    let message = config_message(SqliteStore::open(inside("other.sqlite")).await);
    assert!(message.contains("schema.sql"), "{message}");
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let directory = directory();
    let path = file(&directory);
    drop(open(&path).await);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE idempotency_schema SET version = 2").unwrap();
    let message = config_message(SqliteStore::open(&path).await);
    assert!(message.contains("version 2") && message.contains("update"), "{message}");
}

#[tokio::test]
async fn urls_open_files() {
    let directory = directory();
    let path = file(&directory);
    execute(&open(&path).await, "s", &key("k"), &record("r")).await;
    for url in [format!("sqlite:{}", path.display()), format!("sqlite://{}", path.display())] {
        let store = idem_runtime::connect(&url).await.unwrap();
        assert!(matches!(store.claim(request("s", &key("k"))).await.unwrap(), ClaimAnswer::Completed(_)));
        assert!(store.admin().is_some() && !store.needs_runtime());
    }
}

#[tokio::test]
async fn a_schema_made_by_hand_is_taken() {
    let directory = directory();
    let connection = Connection::open(file(&directory)).unwrap();
    connection.execute_batch(include_str!("../../idem-runtime/src/store/sqlite/schema.sql")).unwrap();
    connection.execute_batch("CREATE TABLE orders (id); PRAGMA user_version = 42").unwrap();
    let store = open(&file(&directory)).await;
    execute(&store, "s", &key("k"), &record("r")).await;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 42, "the version of the user's own tables is left alone");
}

#[tokio::test]
async fn a_replay_and_a_refusal_write_nothing() {
    let directory = directory();
    vfs::watch(directory.path());
    let store = open(&file(&directory)).await;
    let (done, running, parked) = (key("done"), key("running"), key("parked"));
    execute(&store, "s", &done, &record("r")).await;
    acquire(&store, request("s", &running)).await;
    let mut park = request("s", &parked);
    park.retain = None;
    park.orphans = Orphans::Refuse;
    let fence = acquire(&store, park).await.fence;
    store.release(ReleaseRequest::new(&park, fence, Leave::OutcomeUnknown)).await.unwrap();

    let watcher = Connection::open(file(&directory)).unwrap();
    let version = || watcher.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let (before, written, syncs) = (version(), vfs::written(directory.path()), vfs::syncs(directory.path()));
    // Another process's write lock stops none of them.
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..100 {
        replay(&store, "s", &done).await;
        assert!(matches!(store.claim(request("s", &running)).await.unwrap(), ClaimAnswer::InProgress { .. }));
        park.owner = Owner::random();
        assert_eq!(store.claim(park).await.unwrap(), ClaimAnswer::Orphaned);
    }
    other.execute_batch("ROLLBACK").unwrap();
    let after = (version(), vfs::written(directory.path()), vfs::syncs(directory.path()));
    assert_eq!((before, written, syncs), after);
}

/// How many syncs `count` executions take, one after the other.
async fn syncs_of(options: SqliteOptions, count: usize, retain: Option<Duration>) -> usize {
    let directory = directory();
    vfs::watch(directory.path());
    let store = options.open(file(&directory)).await.unwrap();
    let before = vfs::syncs(directory.path());
    for nth in 0..count {
        let key = key(nth.to_string());
        let mut claim = request("s", &key);
        claim.retain = retain;
        let fence = acquire(&store, claim).await.fence;
        store.complete(CompleteRequest::new(&claim, fence, &record("r"), DAY)).await.unwrap();
    }
    vfs::syncs(directory.path()) - before
}

#[tokio::test]
async fn an_execution_is_one_sync_or_two_where_a_lost_claim_would_matter() {
    let options = SqliteStore::options;
    // One more where the log starts: its header is synced.
    let rerun = syncs_of(options(), 50, Some(DAY)).await;
    assert!((50..=52).contains(&rerun), "{rerun} syncs for 50 executions under rerun");
    let park = syncs_of(options(), 50, None).await;
    assert!((100..=102).contains(&park), "{park} syncs for 50 executions under park");
    let unsafe_ = syncs_of(options().durability(Durability::ProcessCrash), 50, Some(DAY)).await;
    assert!(unsafe_ <= 2, "{unsafe_} syncs for 50 executions that only survive a crash of the process");
}

#[tokio::test]
async fn a_release_is_synced_where_its_row_is_kept_for_ever() {
    let directory = directory();
    vfs::watch(directory.path());
    let store = open(&file(&directory)).await;
    for (retain, how, expected) in [
        (Some(DAY), Leave::Failed, 0),
        (Some(DAY), Leave::OutcomeUnknown, 0),
        (None, Leave::Failed, 1),
        (None, Leave::OutcomeUnknown, 1),
        (None, Leave::NotRun, 1),
    ] {
        let key = key(format!("{retain:?} {how:?}"));
        let mut claim = request("s", &key);
        claim.retain = retain;
        let fence = acquire(&store, claim).await.fence;
        let before = vfs::syncs(directory.path());
        assert_eq!(store.release(ReleaseRequest::new(&claim, fence, how)).await.unwrap(), Standing::Held);
        assert_eq!(vfs::syncs(directory.path()) - before, expected, "{retain:?} {how:?}");
    }
}

#[tokio::test]
async fn waiting_handlers_share_a_commit() {
    let directory = directory();
    vfs::watch(directory.path());
    let store = open(&file(&directory)).await;
    let mut claims = Vec::new();
    for nth in 0..64 {
        let key = key(nth.to_string());
        let owner = Owner::random();
        let fence = acquire(&store, ClaimRequest::new("s", &key, owner, LEASE)).await.fence;
        claims.push((key, owner, fence));
    }
    // While another process writes, they all come to wait.
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = vfs::syncs(directory.path());
    let completing: Vec<_> = claims
        .into_iter()
        .map(|(key, owner, fence)| {
            let store = store.clone();
            tokio::spawn(async move {
                let claim = ClaimRequest::new("s", &key, owner, LEASE);
                store.complete(CompleteRequest::new(&claim, fence, &record("r"), DAY)).await.unwrap()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    other.execute_batch("ROLLBACK").unwrap();
    for completing in completing {
        assert_eq!(completing.await.unwrap(), Standing::Held);
    }
    let syncs = vfs::syncs(directory.path()) - before;
    assert!(syncs <= 3, "{syncs} syncs for 64 completions that waited together");
}

#[tokio::test]
async fn a_busy_file_gives_no_answer_and_harms_nothing() {
    let directory = directory();
    let options = SqliteStore::options().busy_timeout(Duration::from_millis(50));
    let store = options.open(file(&directory)).await.unwrap();
    let other = Connection::open(file(&directory)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let key = key("k");
    let claim = request("s", &key);
    let error = store.claim(claim).await.unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    assert!(std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("locked")), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    acquire(&store, claim).await;
}

#[tokio::test]
async fn one_bad_row_fails_alone_and_is_never_run_again() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let columns = [
        ("state", "9"),
        ("state", "-1"),
        ("owner", "x'00'"),
        ("fence", "-5"),
        ("until", "-1"),
        ("previous", "7"),
        ("previous", "3"),
        ("attempt", "99999999999"),
        ("fingerprint", "x'0102'"),
        ("ended", "x'0102'"),
        ("ended", "zeroblob(80)"),
    ];
    let connection = Connection::open(file(&directory)).unwrap();
    for (nth, (column, value)) in columns.into_iter().enumerate() {
        let bad = key(format!("bad-{nth}"));
        execute(&store, "s", &bad, &record("r")).await;
        let sql = format!("UPDATE idempotency SET {column} = {value} WHERE key = ?");
        connection.execute(&sql, [bad.as_bytes()]).unwrap();
        let good = key(format!("good-{nth}"));
        let (bad_claim, good_claim) = (request("s", &bad), request("s", &good));
        let (refused, granted) = tokio::join!(store.claim(bad_claim), store.claim(good_claim));
        let error = refused.unwrap_err();
        assert!(!error.is_unanswered());
        let message = error.to_string();
        assert!(message.contains("bad-") && message.contains("scope `s`") && message.contains(column), "{message}");
        assert!(matches!(granted.unwrap(), ClaimAnswer::Acquired(_)));
        let release = ReleaseRequest::new(&bad_claim, 1, Leave::NotRun);
        assert!(!store.release(release).await.unwrap_err().is_unanswered());
        assert!(store.admin().unwrap().get("s", &bad).await.is_err());
    }
}

#[tokio::test]
async fn a_statement_that_fails_takes_no_other_down() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let other = Connection::open(file(&directory)).unwrap();
    other
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON idempotency WHEN NEW.key = CAST('cursed' AS BLOB)
             BEGIN SELECT RAISE(ROLLBACK, 'cursed'); END; BEGIN IMMEDIATE",
        )
        .unwrap();
    let keys: Vec<_> = (0..20).map(|nth| key(&if nth == 7 { "cursed".to_owned() } else { nth.to_string() })).collect();
    let claims: Vec<_> = keys
        .iter()
        .map(|key| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move { store.claim(request("s", &key)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    other.execute_batch("ROLLBACK").unwrap();
    for (nth, claim) in claims.into_iter().enumerate() {
        let answer = claim.await.unwrap();
        if nth == 7 {
            assert!(!answer.unwrap_err().is_unanswered());
        } else {
            assert!(matches!(answer.unwrap(), ClaimAnswer::Acquired(_)));
        }
    }
}

#[tokio::test]
async fn who_waits_hears_of_an_ending() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let key = key("k");
    let claim = request("s", &key);
    let fence = acquire(&store, claim).await.fence;
    // Held: the wait lasts until the poll.
    let begun = Instant::now();
    store.wait(WaitRequest::new("s", &key, DAY)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(50));
    // A round that would last a quarter of a second, were it not for the bell.
    let mut wait = WaitRequest::new("s", &key, DAY);
    wait.round = 9;
    let result = record("r");
    let complete = async {
        tokio::task::yield_now().await;
        store.complete(CompleteRequest::new(&claim, fence, &result, DAY)).await.unwrap()
    };
    let (waited, _) = tokio::join!(store.wait(wait), complete);
    waited.unwrap();
    replay(&store, "s", &key).await;
    // Ended: no wait at all.
    let begun = Instant::now();
    for _ in 0..10 {
        store.wait(wait).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_millis(2_000));
}

#[tokio::test]
async fn a_sweep_is_bounded_and_takes_only_what_nobody_needs() {
    let directory = directory();
    let options = SqliteStore::options().sweep_interval(None).sweep_batch(10);
    let store = options.open(file(&directory)).await.unwrap();
    let admin = store.admin().unwrap();
    for nth in 0..25 {
        execute(&store, "s", &key(nth.to_string()), &record("r")).await;
    }
    let mut park = request("s", &key("parked")).owner;
    let parked = key("parked");
    let mut claim = ClaimRequest::new("s", &parked, park, Duration::ZERO);
    claim.retain = None;
    acquire(&store, claim).await;
    park = Owner::random();
    assert_ne!(park, claim.owner);
    assert_eq!(admin.sweep(100).await.unwrap(), 0, "nothing has expired");
    let connection = Connection::open(file(&directory)).unwrap();
    connection.execute_batch("UPDATE idempotency SET until = 1, purge_at = 2 WHERE state = 5").unwrap();
    assert_eq!(admin.stats().await.unwrap().sweepable, 25);
    assert_eq!(admin.sweep(7).await.unwrap(), 7);
    assert_eq!(admin.sweep(100).await.unwrap(), 18);
    let stats = admin.stats().await.unwrap();
    assert_eq!((stats.completed, stats.orphaned), (0, 1), "an orphan under park stays");
}

#[tokio::test]
async fn the_background_sweeps() {
    let directory = directory();
    let options = SqliteStore::options().sweep_interval(Some(Duration::from_millis(5))).sweep_batch(3);
    let store = options.open(file(&directory)).await.unwrap();
    for nth in 0..20 {
        execute(&store, "s", &key(nth.to_string()), &record("r")).await;
    }
    let connection = Connection::open(file(&directory)).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    connection.execute_batch("UPDATE idempotency SET until = 1, purge_at = 2").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.admin().unwrap().stats().await.unwrap().completed > 0 {
        assert!(Instant::now() < deadline, "the rows are still there");
        store.wait(WaitRequest::new("s", &key("0"), Duration::from_millis(1))).await.unwrap();
    }
}

/// The condition in SQL and the one in the protocol agree on every kind of row.
#[tokio::test]
async fn the_sweep_agrees_with_the_protocol() {
    let directory = directory();
    let store = SqliteStore::options().sweep_interval(None).open(file(&directory)).await.unwrap();
    let connection = Connection::open(file(&directory)).unwrap();
    let far = i64::MAX;
    let mut all = 0;
    for state in 1..=5 {
        for until in [1, far] {
            for purge_at in [Some(1), Some(far), None] {
                all += 1;
                connection
                    .execute(
                        "INSERT INTO idempotency (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at)
                         VALUES ('s', CAST(?1 AS BLOB), ?2, zeroblob(16), 1, ?3, 1, 1, x'', ?4)",
                        rusqlite::params![all.to_string(), state, until, purge_at],
                    )
                    .unwrap();
            }
        }
    }
    let admin = store.admin().unwrap();
    let entries = admin.list(Filter::all()).await.unwrap();
    assert_eq!(entries.len(), all);
    let expected: Vec<_> = entries.iter().filter(|entry| !entry.row.is_sweepable(entry.now)).map(|e| &e.key).collect();
    assert!(expected.len() < all);
    assert_eq!(admin.sweep(usize::MAX).await.unwrap(), all - expected.len());
    let left = admin.list(Filter::all()).await.unwrap();
    assert_eq!(left.iter().map(|entry| &entry.key).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_operator_looks_and_resolves() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let admin: Arc<dyn IdempotencyAdmin> = store.admin().unwrap();
    assert!(admin.get("s", &key("k")).await.unwrap().is_none());
    assert_eq!(admin.forget("s", &key("k")).await.unwrap(), Standing::Gone);
    for nth in 0..250 {
        let scope = if nth % 2 == 0 { "even" } else { "odd" };
        let key = key(format!("{nth:03}"));
        let claim = request(scope, &key);
        let fence = acquire(&store, claim).await.fence;
        if nth % 5 == 0 {
            store.release(ReleaseRequest::new(&claim, fence, Leave::OutcomeUnknown)).await.unwrap();
        }
    }
    let mut pages = Vec::new();
    let mut filter = Filter::all().limit(30);
    loop {
        let page = admin.list(filter.clone()).await.unwrap();
        let Some(last) = page.last() else { break };
        filter = filter.after(last);
        pages.extend(page.into_iter().map(|entry| (entry.scope, entry.key.as_bytes().to_owned())));
    }
    assert_eq!(pages.len(), 250);
    assert!(pages.is_sorted());
    let unknown = admin.list(Filter::all().scope("odd").state(State::Unknown)).await.unwrap();
    assert_eq!(unknown.len(), 25);
    assert!(unknown.iter().all(|entry| entry.is_orphan() && entry.scope == "odd"));
    let stats = admin.stats().await.unwrap();
    assert_eq!((stats.running, stats.orphaned, stats.completed), (200, 50, 0));

    let orphan = key("005");
    let resolution = Resolution::Executed { record: record("charged"), ttl: DAY };
    assert_eq!(admin.resolve("odd", &orphan, resolution).await.unwrap(), Standing::Held);
    assert_eq!(replay(&store, "odd", &orphan).await, record("charged"));
    assert_eq!(admin.resolve("odd", &orphan, Resolution::NotExecuted).await.unwrap(), Standing::Lost, "it is settled");
    let resolution = Resolution::Executed { record: record("charged twice"), ttl: DAY };
    assert_eq!(admin.resolve("odd", &orphan, resolution).await.unwrap(), Standing::Held, "an operator's is replaced");
    let (entry, kept) = admin.get("odd", &orphan).await.unwrap().unwrap();
    assert_eq!((entry.row.state, entry.is_resolution()), (State::Done, true));
    assert_eq!(kept, Some(record("charged twice")));
    assert_eq!(replay(&store, "odd", &orphan).await, record("charged twice"));
    assert_eq!(admin.resolve("odd", &key("015"), Resolution::NotExecuted).await.unwrap(), Standing::Held);
    assert_eq!(acquire(&store, request("odd", &key("015"))).await.previous, Previous::First);
    assert_eq!(admin.resolve("odd", &key("001"), Resolution::NotExecuted).await.unwrap(), Standing::Lost, "held");
    assert_eq!(admin.forget("odd", &orphan).await.unwrap(), Standing::Held);
    let (entry, kept) = admin.get("odd", &orphan).await.unwrap().unwrap();
    assert_eq!((entry.row.state, kept), (State::Free, None), "a record goes with its completion");
}

/// The store's futures need nothing of the executor that polls them.
#[test]
fn any_executor_will_do() {
    use std::task::{Context, Poll, Wake, Waker};
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => std::thread::park(),
            }
        }
    }
    let directory = directory();
    block_on(async {
        let store = open(&file(&directory)).await;
        execute(&store, "s", &key("k"), &record("r")).await;
        replay(&store, "s", &key("k")).await;
        acquire(&store, request("s", &key("held"))).await;
        store.wait(WaitRequest::new("s", &key("held"), DAY)).await.unwrap();
    });
}

/// Threads of this process that belong to a store on `path` are seen by their open files.
#[tokio::test]
async fn the_last_handle_ends_the_threads_once_they_are_done() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let key = key("k");
    let claim = request("s", &key);
    let fence = acquire(&store, claim).await.fence;
    let result = record("r");
    // Asked, and no longer waited for.
    {
        let mut complete = std::pin::pin!(store.complete(CompleteRequest::new(&claim, fence, &result, DAY)));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = complete.as_mut().poll(&mut context);
    }
    drop(store);
    let is_open = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .any(|file| file.starts_with(directory.path()))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_open() {
        assert!(Instant::now() < deadline, "the threads are still there");
        std::thread::yield_now();
    }
    assert_eq!(replay(&open(&file(&directory)).await, "s", &key).await, result);
}

#[idempotent(key = "id", scope = "sqlite-parked", store = store, on_crash = "park")]
async fn parking(store: &SqliteStore, gate: Gate, id: u32) -> Result<u32, Error> {
    gate.pass().await;
    Ok(id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r13_a_duplicate_right_after_a_cancelled_call_is_told_of_it() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    for id in 0..40 {
        // So that readers are asked.
        parking(&store, Gate::opened(), 1000).await.unwrap();
        let gate = Gate::default();
        let call = tokio::spawn({
            let (store, gate) = (store.clone(), gate.clone());
            async move { parking(&store, gate, id).await }
        });
        gate.started().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let error = parking(&store, Gate::opened(), id).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown { .. }), "{id}: {error}");
    }
    let orphans = store.admin().unwrap().list(Filter::all().orphans()).await.unwrap();
    assert_eq!(orphans.len(), 40);
}
