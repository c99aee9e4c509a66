//! A table with a backlog of expired rows: the cost of sweeping and listing, in pages that the server reads.

use std::sync::Arc;
use std::time::Duration;

use idem_runtime::admin::Filter;
use idem_runtime::store::{Leave, ReleaseRequest};
use idem_runtime::{IdempotencyAdmin, IdempotencyStore};
use idem_tests::steps::{acquire, key};
use sqlx::{AssertSqlSafe, Executor as _};

use super::{CONNECTIONS, Connection, LOCK_ONE, PAGES, SNAPSHOT, Server, Store, connect, expired, number, open, sql};
use crate::{SCOPE, ask};

const ROWS: &str = "SELECT COUNT(*) FROM idem_keys";

/// A server with a table of so many expired rows.
async fn backlog(rows: usize) -> Server {
    let server = Server::start().await;
    drop(open(&server).await);
    sql(&server, &expired(rows)).await;
    server
}

/// Begins a transaction that stays open.
async fn begin(server: &Server, statements: &str) -> Connection {
    let mut connection = connect(server).await;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))).await.unwrap();
    connection
}

/// How many pages the server reads for this work. Waits until the connections have ended, as some write their statistics only then.
async fn pages(server: &Server, work: impl AsyncFnOnce(Arc<dyn IdempotencyAdmin>)) -> i64 {
    let open = number(server, CONNECTIONS).await;
    let before = number(server, PAGES).await;
    let store = Store::options().sweep_interval(None).sweep_batch(100).open(&server.url()).await.unwrap();
    work(store.admin().unwrap()).await;
    drop(store);
    while number(server, CONNECTIONS).await > open {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    number(server, PAGES).await - before
}

/// A transaction, such as that of a dump, may still see the deleted rows, so the server keeps them. A batch that began at the first
/// row would have to pass over all of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_batch_does_not_pass_over_what_those_before_it_deleted() {
    let server = backlog(12_000).await;
    let _reader = begin(&server, SNAPSHOT).await;
    let first = pages(&server, async |admin| assert_eq!(admin.sweep(100).await.unwrap(), 100)).await;
    let next = pages(&server, async |admin| assert_eq!(admin.sweep(6_000).await.unwrap(), 6_000)).await;
    assert!(next < 120 * first, "60 batches looked at {next} pages, and the first one at {first}");
}

/// The same for an operator who deletes a few rows at a time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn an_operators_sweep_goes_on_where_the_last_one_ended() {
    let server = backlog(12_000).await;
    let _reader = begin(&server, SNAPSHOT).await;
    let first = pages(&server, async |admin| assert_eq!(admin.sweep(100).await.unwrap(), 100)).await;
    let next = pages(&server, async |admin| {
        for _ in 0..60 {
            assert_eq!(admin.sweep(100).await.unwrap(), 100);
        }
    });
    let next = next.await;
    assert!(next < 120 * first, "60 sweeps looked at {next} pages, and the first one at {first}");
}

/// After the last row, a sweep begins again at the first, and so finds the rows that it had to pass over.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn an_operators_sweep_finds_a_row_that_was_locked_before() {
    let server = backlog(100).await;
    let lock = begin(&server, LOCK_ONE).await;
    let store = Store::options().sweep_interval(None).open(&server.url()).await.unwrap();
    let admin = store.admin().unwrap();
    assert_eq!(admin.sweep(50).await.unwrap(), 50);
    drop(lock);
    assert_eq!(admin.sweep(usize::MAX).await.unwrap(), 50);
}

/// A batch can end between two rows with the same `purge_at`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn no_row_is_passed_over_at_the_border_of_two_batches() {
    let server = backlog(1_000).await;
    let store = Store::options().sweep_interval(None).sweep_batch(10).open(&server.url()).await.unwrap();
    assert_eq!(store.admin().unwrap().sweep(usize::MAX).await.unwrap(), 1_000);
}

/// The background passes over a row that another transaction has locked, and deletes it later.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_row_that_was_locked_is_swept_later() {
    let server = backlog(100).await;
    let lock = begin(&server, LOCK_ONE).await;
    let options = Store::options().sweep_interval(Some(Duration::from_millis(20))).sweep_batch(10);
    let _store = options.open(&server.url()).await.unwrap();
    while number(&server, ROWS).await > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(lock);
    while number(&server, ROWS).await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn the_last_page_of_a_scope_costs_what_the_first_one_does() {
    let server = backlog(20_000).await;
    let first = Filter::all().scope(SCOPE).limit(10);
    let at_first = pages(&server, async |admin| assert_eq!(admin.list(first.clone()).await.unwrap().len(), 10)).await;
    let mut last = first.clone();
    last.after = Some((SCOPE.to_owned(), key("19")));
    let at_last = pages(&server, async |admin| assert_eq!(admin.list(last).await.unwrap().len(), 10)).await;
    assert!(at_last < 2 * at_first, "the last page looked at {at_last}, and the first one at {at_first}");

    let store = open(&server).await;
    let admin = store.admin().unwrap();
    for (after, found) in [("sql ", 0), ("sqk", 10)] {
        let mut filter = first.clone();
        filter.after = Some((after.to_owned(), key("9")));
        assert_eq!(admin.list(filter).await.unwrap().len(), found, "after another scope, {after}");
    }
}

/// There are few orphans, at any place of the table. Reading all rows in the order of their keys would cost a page for each row.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn orphans_are_found_among_many_rows_without_a_page_for_each() {
    const ROWS: usize = 30_000;
    let server = backlog(ROWS).await;
    let store = open(&server).await;
    for nth in 0..3 {
        let key = key(format!("orphan {nth}"));
        let claim = ask(&key);
        let grant = acquire(&store, claim).await;
        store.release(ReleaseRequest::new(&claim, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
    }
    for filter in [Filter::all().orphans(), Filter::all().orphans().scope(SCOPE)] {
        let looked_at = pages(&server, async |admin| {
            assert_eq!(admin.list(filter).await.unwrap().len(), 3);
        });
        let looked_at = looked_at.await;
        assert!(looked_at < 10_000, "{looked_at} pages for {ROWS} rows");
    }
    let looked_at = pages(&server, async |admin| assert_eq!(admin.stats().await.unwrap().orphaned, 3)).await;
    assert!(looked_at < 10_000, "the statistics looked at {looked_at} pages for {ROWS} rows");
}
