//! `PostgresStore` on a real server.

use idem_runtime::PostgresStore;
use idem_runtime::conformance::{self, Suite};

async fn open() -> PostgresStore {
    PostgresStore::open("postgres://idem@127.0.0.1:55432/idem").await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn postgres_store_conforms() {
    conformance::run(open).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn two_stores_on_one_database_conform() {
    Suite::new().processes(2).run(open).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn simple() {
    Suite::new()
        .processes(2)
        .run(|| async {
            PostgresStore::options().simple_queries(true).open("postgres://idem@127.0.0.1:55432/idem").await.unwrap()
        })
        .await;
}
