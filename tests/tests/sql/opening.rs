//! Opening a store: it creates its tables, and says what is wrong if it can't.

use std::time::Duration;

use idem_runtime::Error;
use tokio::task::JoinSet;

use super::{
    ADMIN, CREATE_USER, MISSING, NOT_GRANTED, Pool, SEES_MISSING, STORE, Server, Store, URL, WRONG_URLS, open, sql,
};
use crate::charge;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn twenty_can_open_an_empty_database_at_once() {
    let server = Server::start().await;
    let mut opening = JoinSet::new();
    for nth in 0..20 {
        let url = server.url();
        let options = Store::options().table(["idem_keys", "order"][nth % 2]);
        opening.spawn(async move { options.open(&url).await });
    }
    for store in opening.join_all().await {
        charge(&store.unwrap(), "order").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn who_may_not_create_tables_can_use_them() {
    let server = Server::start().await;
    sql(&server, CREATE_USER).await;
    let url = server.url().replace(ADMIN, "app@");
    let error = Store::open(&url).await.unwrap_err();
    assert!(error.to_string().contains("its tables could not be created"), "{error}");
    let unmigrated = Store::options().migrate(false).open(&server.url().replace(ADMIN, SEES_MISSING)).await;
    let unmigrated = unmigrated.unwrap_err();
    assert!(unmigrated.to_string().contains(&format!("create the tables with `{STORE}::migrate`")), "{unmigrated}");

    Store::migrate(Pool::connect(&server.url()).await.unwrap()).await.unwrap();
    let error = Store::open(&url).await.unwrap_err();
    assert!(NOT_GRANTED.iter().all(|told| error.to_string().contains(told)), "{error}");
    let grants = "GRANT SELECT, INSERT, UPDATE, DELETE ON idem_keys TO app; GRANT SELECT ON idem_keys_schema TO app";
    sql(&server, grants).await;
    let store = Store::open(&url).await.unwrap();
    assert!(!charge(&store, "order").await.unwrap().is_replayed());
    assert_eq!(format!("{store:?}"), STORE);

    sql(&server, "DROP VIEW idem_keys_stuck; DROP TABLE idem_keys").await;
    let error = charge(&store, "order").await.unwrap_err();
    assert!(error.to_string().contains("create the tables"), "{error}");
    assert!(matches!(error, Error::Store { .. }));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_table_that_is_missing_or_another_is_noticed_at_once() {
    let server = Server::start().await;
    open(&server).await;
    let refused = async |migrate| {
        let options = Store::options().migrate(migrate);
        options.open(&server.url()).await.unwrap_err().to_string()
    };
    sql(&server, "DROP VIEW idem_keys_stuck; DROP TABLE idem_keys").await;
    let error = refused(false).await;
    assert!(error.contains(MISSING), "{error}");
    assert!(error.contains(&format!("create the tables with `{STORE}::migrate`")), "{error}");
    sql(&server, "CREATE TABLE idem_keys (k int)").await;
    for error in [refused(false).await, refused(true).await] {
        assert!(error.contains("its table `idem_keys` or `idem_keys_schema` is someone else's"), "{error}");
    }
    sql(&server, "DROP TABLE idem_keys").await;
    // A user that may create the table gets a new one.
    charge(&open(&server).await, "order").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn tables_of_another_version_are_refused() {
    let server = Server::start().await;
    open(&server).await;
    sql(&server, "UPDATE idem_keys_schema SET version = 7; DROP VIEW idem_keys_stuck; DROP TABLE idem_keys").await;
    // On MariaDB the version is read after the table, which the first of these two creates.
    for migrate in [true, false] {
        let error = Store::options().migrate(migrate).open(&server.url()).await.unwrap_err();
        assert!(error.to_string().contains("version 7"), "{error}");
    }
}

#[tokio::test]
async fn a_wrong_url_is_explained_and_not_shown() {
    for url in WRONG_URLS {
        let error = Store::open(url).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(URL), "{shown}");
        assert!(!shown.contains("cret"), "{shown}");
    }
}

/// The server accepts connections and sends nothing.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (scheme, _) = URL.split_once(':').unwrap();
    let url = format!("{scheme}://{ADMIN}127.0.0.1:{}/db", silent.local_addr().unwrap().port());
    let opened = tokio::time::timeout(Duration::from_secs(20), Store::open(&url)).await.expect("it gives up");
    let error = opened.unwrap_err();
    assert!(error.to_string().contains("it can't be reached"), "{error}");
}
