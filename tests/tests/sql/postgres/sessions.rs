//! Sessions that differ from those of a store's own pool.

use idem_runtime::conformance::Suite;

use crate::databases::postgres::{Pool, Server, Store};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn conforms_at_stricter_isolation_levels_with_a_users_pool() {
    for level in ["repeatable read", "serializable"] {
        let server = Server::start_with(&["-c", &format!("default_transaction_isolation={level}")]).await;
        let pool = Pool::connect(&server.url()).await.unwrap();
        for simple in [false, true] {
            let options = || Store::options().simple_queries(simple);
            Suite::new().processes(2).run(async || options().open_with(pool.clone()).await.unwrap()).await;
        }
    }
}
