//! Tables with other names than the default one, and what is refused under a name.

use std::time::Duration;

use idem_runtime::admin::{self, Filter};
use idem_runtime::store::{ClaimAnswer, CompleteRequest, WaitRequest};
use idem_runtime::{Error, IdempotencyStore, Outcome, idempotent};
use idem_tests::Gate;
use idem_tests::steps::{DAY, acquire, key, record};

use super::{HOME, QUOTED_ORDER, Server, Store, expired, number, sql, sweep_all};
use crate::{SCOPE, ask, charge, charge_all};

async fn open(server: &Server, table: &str) -> Store {
    Store::options().table(table).open(&server.url()).await.unwrap()
}

async fn refused(server: &Server, table: &str) -> String {
    match Store::options().table(table).open(&server.url()).await {
        Err(error @ Error::Config { .. }) => error.to_string(),
        other => panic!("the table `{table}` is refused, and it was {other:?}"),
    }
}

#[idempotent(key = "id", store = store, wait = "250ms")]
async fn hold(store: &Store, id: &str, gate: &Gate) -> Result<Outcome<String>, Error> {
    gate.pass().await;
    Ok(format!("charged {id}").into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn two_names_in_one_database_share_nothing() {
    let server = Server::start().await;
    let (one, other) = (open(&server, "order").await, open(&server, "order_keys").await);
    assert!(!charge(&one, "a").await.unwrap().is_replayed());
    assert!(!charge(&other, "a").await.unwrap().is_replayed());
    assert!(charge(&other, "a").await.unwrap().is_replayed());

    // A waiter on one table isn't told of an ending in the other.
    let [gate, others_gate] = [Gate::default(), Gate::default()];
    let held = Box::pin(hold(&one, "held", &gate));
    let mut others = Box::pin(hold(&other, "held", &others_gate));
    tokio::select! {
        ended = &mut others => panic!("it waits, and ended with {ended:?}"),
        () = others_gate.started() => {}
    }
    let waiter = hold(&other, "held", &gate);
    gate.open();
    let (ended, waited) = tokio::join!(held, waiter);
    assert!(!ended.unwrap().is_replayed());
    assert!(matches!(waited, Err(Error::InProgress { .. })), "{waited:?}");
    drop(others);

    // Each is swept alone.
    let rows = async |table: &str| {
        number(&server, &format!("SELECT COUNT(*) FROM {table} WHERE scope = 'sql' AND purge_at < 1000000")).await
    };
    let [quoted, plain] = [QUOTED_ORDER, "order_keys"];
    for table in [quoted, plain] {
        sql(&server, &expired(50).replace("idem_keys", table)).await;
    }
    sweep_all(&*one.admin().unwrap()).await;
    assert_eq!([rows(quoted).await, rows(plain).await], [0, 50]);
    sweep_all(&*other.admin().unwrap()).await;
    assert_eq!([rows(quoted).await, rows(plain).await], [0, 0]);
    assert_eq!(one.admin().unwrap().stats().await.unwrap().completed, 2);
}

/// Names that the statements use for something else, and names that SQL keeps for itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_table_may_have_the_name_of_anything_in_its_statements() {
    let server = Server::start().await;
    let names = [
        "a", "asked", "c", "done", "dual", "excluded", "fence", "i", "key", "known", "marked", "now", "record",
        "scope", "select", "state", "swept", "t", "taken", "u", "user", "values", "w", "x",
    ];
    let longest = "n".repeat(40);
    for name in names.into_iter().chain([&*longest]) {
        let store = open(&server, name).await;
        for is_replayed in [false, true] {
            let charged = charge_all(&store, 6).await;
            assert!(charged.iter().all(|outcome| outcome.is_replayed() == is_replayed), "{name}");
        }
        let held = key("held");
        let request = ask(&held);
        let grant = acquire(&store, request).await;
        assert!(matches!(store.claim(ask(&held)).await.unwrap(), ClaimAnswer::InProgress { .. }), "{name}");
        store.wait(WaitRequest::new(SCOPE, &held, Duration::from_millis(1))).await.unwrap();
        store.complete(CompleteRequest::new(&request, grant.fence, &record("r"), DAY)).await.unwrap();
        let admin = store.admin().unwrap();
        assert_eq!(admin.stats().await.unwrap().completed, 7, "{name}");
        assert_eq!(admin.list(Filter::all()).await.unwrap().len(), 7, "{name}");
        sweep_all(&*admin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_url_names_the_table() {
    let server = Server::start().await;
    let url = format!("{}?table=order", server.url());
    let store = idem_runtime::connect(&url).await.unwrap();
    assert!(!charge(&store, "a").await.unwrap().is_replayed());
    assert!(charge(&open(&server, "order").await, "a").await.unwrap().is_replayed());
    let operator = admin::connect(&url).await.unwrap();
    assert_eq!(operator.stats().await.unwrap().completed, 1);
    let error = admin::connect(&server.url()).await.err().unwrap().to_string();
    assert!(error.contains("create the tables"), "{error}");
    for wrong in ["Order", "order%22", ""] {
        let error = idem_runtime::connect(&format!("{}?table={wrong}", server.url())).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }) && error.to_string().contains("lowercase letters"), "{error}");
    }
    assert!(refused(&server, "or`der").await.contains("lowercase letters"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_table_of_someone_else_is_refused_before_anything_is_changed() {
    let server = Server::start().await;
    let tables = format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{HOME}'");
    sql(&server, "CREATE TABLE theirs (user_id int, purge_at int); CREATE TABLE others_schema (text_of_it int)").await;
    open(&server, "ours").await;
    sql(&server, "DROP VIEW ours_stuck; DROP TABLE ours_schema").await;
    let before = number(&server, &tables).await;
    for (table, migrate) in [("theirs", true), ("others", true), ("ours", true), ("theirs", false), ("ours", false)] {
        let error = Store::options().table(table).migrate(migrate).open(&server.url()).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error}");
        for way in [&format!("`{table}`"), "options().table(", "or rename theirs"] {
            assert!(error.to_string().contains(way), "{way}: {error}");
        }
    }
    assert_eq!(number(&server, &tables).await, before);
}

/// To these servers, a name that differs in its case is another name.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_table_whose_name_differs_in_its_case_is_not_in_the_way() {
    let server = Server::start().await;
    let theirs = QUOTED_ORDER.replace("order", "Order");
    sql(&server, &format!("CREATE TABLE {theirs} (user_id int)")).await;
    let store = open(&server, "order").await;
    assert!(!charge(&store, "a").await.unwrap().is_replayed());
    assert!(charge(&store, "a").await.unwrap().is_replayed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn tables_of_an_earlier_version_are_renamed_or_used_under_their_name() {
    let server = Server::start().await;
    assert!(!charge(&open(&server, "idempotency").await, "a").await.unwrap().is_replayed());
    let operator = admin::connect(&server.url()).await.err().unwrap().to_string();
    for error in [refused(&server, "idem_keys").await, refused(&server, "order").await, operator] {
        assert!(error.contains("`idempotency`") && error.contains("options().table(\"idempotency\")"), "{error}");
    }
    assert!(charge(&open(&server, "idempotency").await, "a").await.unwrap().is_replayed());

    let error = refused(&server, "order").await;
    let (_, rename) = error.split_once("rename it: ").unwrap();
    sql(&server, rename).await;
    let store = open(&server, "order").await;
    assert!(charge(&store, "a").await.unwrap().is_replayed());
    sql(&server, &expired(50).replace("idem_keys", QUOTED_ORDER)).await;
    assert_eq!(sweep_all(&*store.admin().unwrap()).await, 50);
    assert_eq!(number(&server, "SELECT COUNT(*) FROM order_stuck").await, 0);
    // Nothing of the former table is left, so that a new one can have its name.
    assert!(!charge(&open(&server, "idempotency").await, "a").await.unwrap().is_replayed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn the_table_of_another_applications_author_is_left_alone() {
    let server = Server::start().await;
    sql(&server, "CREATE TABLE idempotency (user_id int, response_status_code int)").await;
    charge(&super::open(&server).await, "a").await.unwrap();
    assert!(refused(&server, "idempotency").await.contains("`idempotency_schema` is someone else's"));
}
