//! `MySqlStore` on a real server.

use idem_runtime::MySqlStore;
use idem_runtime::conformance::{self, Suite};
use idem_tests::server::MariaDb;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn mysql_store_conforms() {
    let server = MariaDb::start().await;
    conformance::run(|| async { MySqlStore::open(&server.url()).await.unwrap() }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn two_stores_on_one_database_conform() {
    let server = MariaDb::start().await;
    Suite::new().processes(2).run(|| async { MySqlStore::open(&server.url()).await.unwrap() }).await;
}
