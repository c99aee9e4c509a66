//! A server that is killed and restarted.

use std::sync::Arc;

use idem_runtime::{Error, IdempotencyStore, Outcome};
use idem_tests::steps::key;
use tokio::task::JoinSet;

use super::{Server, open};
use crate::{charge, charge_all};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r09_it_reconnects_after_the_server_was_killed() {
    let server = Server::start().await;
    let store = open(&server).await;
    charge_all(&store, 64).await;
    server.kill();
    let error = charge(&store, "order-0").await.unwrap_err();
    assert!(matches!(&error, Error::Store { .. }) && error.is_retryable(), "{error}");
    server.restart().await;
    assert!(charge_all(&store, 64).await.iter().all(Outcome::is_replayed), "what was completed stays so");

    // The server is also restarted between two calls. The first call that finds its connection broken doesn't try another old one.
    let admin = store.admin().unwrap();
    let mut looks = JoinSet::new();
    for nth in 0..8 {
        let admin = Arc::clone(&admin);
        looks.spawn(async move { admin.get("sql::charge", &key(format!("order-{nth}"))).await.unwrap().is_some() });
    }
    looks.join_all().await;
    server.kill();
    server.restart().await;
    assert!(charge(&store, "order-0").await.unwrap().is_replayed());
    assert!(charge_all(&store, 64).await.iter().all(Outcome::is_replayed));
}
