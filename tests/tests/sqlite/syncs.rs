//! How often the store writes and syncs: not at all for a replay or a refusal, once or twice for an execution.

use std::time::Duration;

use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Durability, Leave, Orphans, Owner, ReleaseRequest, RenewRequest,
    SqliteOptions, Standing,
};
use idem_runtime::{IdempotencyStore, SqliteStore};
use idem_tests::steps::{DAY, LEASE, acquire, execute, key, record, replay, request};
use idem_tests::vfs;
use rusqlite::Connection;

use super::{directory, file, open};

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
    // Another connection holds the write lock. These requests don't need it.
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
    // One or two more where a new log begins, as its header is synced too.
    let rerun = syncs_of(options(), 50, Some(DAY)).await;
    assert!((50..=52).contains(&rerun), "{rerun} syncs for 50 executions under rerun");
    let park = syncs_of(options(), 50, None).await;
    assert!((100..=102).contains(&park), "{park} syncs for 50 executions under park");
    let unsafe_ = syncs_of(options().durability(Durability::ProcessCrash), 50, Some(DAY)).await;
    assert!(unsafe_ <= 2, "{unsafe_} syncs for 50 executions that only survive a crash of the process");
}

/// A claim writes a page of the table and one of the index, and its completion writes the page of the table alone.
#[tokio::test]
async fn a_completion_and_a_renewal_leave_the_index_alone() {
    const FRAME: usize = 24 + 4096;
    let directory = directory();
    vfs::watch(directory.path());
    let store = open(&file(&directory)).await;
    let watcher = Connection::open(file(&directory)).unwrap();
    let purge_at = || watcher.query_row("SELECT max(purge_at) FROM idem_keys", [], |row| row.get::<_, i64>(0)).unwrap();
    let mut pages = [0, 0, 0];
    for nth in 0..20 {
        let key = key(nth.to_string());
        let claim = request("s", &key);
        let before = vfs::written(directory.path());
        let fence = acquire(&store, claim).await.fence;
        let (claimed, at) = (vfs::written(directory.path()), purge_at());
        assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), Standing::Held);
        let renewed = vfs::written(directory.path());
        let result = record("r");
        let complete = CompleteRequest::new(&claim, fence, &result, 7 * DAY);
        assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
        let completed = vfs::written(directory.path());
        assert_eq!(purge_at(), at);
        pages[0] += (claimed - before) / FRAME;
        pages[1] += (renewed - claimed) / FRAME;
        pages[2] += (completed - renewed) / FRAME;
    }
    assert_eq!(pages, [40, 20, 20], "pages written by 20 claims, renewals and completions");
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
    // While another connection holds the write lock, all completions wait.
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
