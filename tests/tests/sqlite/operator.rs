//! What an operator does: sweeps, lists, resolves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::protocol::State;
use idem_runtime::store::{ClaimRequest, Leave, Owner, Previous, ReleaseRequest, Standing, WaitRequest};
use idem_runtime::{IdempotencyAdmin, IdempotencyStore, SqliteStore};
use idem_tests::steps::{DAY, acquire, execute, key, record, replay, request};
use rusqlite::Connection;

use super::{directory, file, open};

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
    connection.execute_batch("UPDATE idem_keys SET until = 1, purge_at = 2 WHERE state = 5").unwrap();
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
    connection.execute_batch("UPDATE idem_keys SET until = 1, purge_at = 2").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while store.admin().unwrap().stats().await.unwrap().completed > 0 {
        assert!(Instant::now() < deadline, "the rows are still there");
        store.wait(WaitRequest::new("s", &key("0"), Duration::from_millis(1))).await.unwrap();
    }
}

/// The sweep's condition in SQL holds for the same rows as `Row::is_sweepable`.
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
                        "INSERT INTO idem_keys (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at)
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
