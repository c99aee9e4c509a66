//! Sessions that differ from those of a store's own pool.

use idem_runtime::conformance::Suite;
use idem_tests::server::PgBouncer;

use crate::charge;
use crate::databases::postgres::{Pool, Server, Store};

/// Behind a pooler that gives each transaction another connection: no statement leaves anything in the session that the
/// next one needs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL and PgBouncer: run by tests/run"]
async fn conforms_behind_a_pooler_with_simple_queries() {
    let server = Server::start().await;
    let pooler = PgBouncer::start(&server).await;
    let url = server.url().replace(&server.port().to_string(), &pooler.port().to_string());
    let options = || Store::options().simple_queries(true);
    Suite::new().processes(2).run(async || options().open(&url).await.unwrap()).await;

    // Prepared statements get lost there, and the error says what to do.
    let store = Store::options().open(&url).await;
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
        let server = Server::start_with(&["-c", &format!("default_transaction_isolation={level}")]).await;
        let pool = Pool::connect(&server.url()).await.unwrap();
        Suite::new().processes(2).run(async || Store::open_with(pool.clone()).await.unwrap()).await;
    }
}
