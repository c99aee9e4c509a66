//! The conformance suite, on a server with its default settings.

use idem_runtime::conformance::Suite;

use super::{Server, Store, open};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn the_store_conforms() {
    let server = Server::start().await;
    let clock = server.movable_clock().await;
    Suite::new().clock(move |ahead| clock.set_ahead(ahead)).run(|| open(&server)).await;
    // A reserved word as the table's name, by two processes.
    let named = async || Store::options().table("order").open(&server.url()).await.unwrap();
    Suite::new().processes(2).run(named).await;
}
