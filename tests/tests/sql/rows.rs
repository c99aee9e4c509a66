//! The store's rows: what they can hold, and how a row with other contents is refused.

use idem_runtime::{Error, IdempotencyStore, idempotent};
use idem_tests::Gate;
use idem_tests::standing::tells_gone_from_lost;
use idem_tests::steps::{acquire, execute, key, record, request};

use super::{CORRUPTIONS, Server, Store, open, sql};
use crate::{SCOPE, ask, charge};

#[idempotent(key = "id", store = store)]
async fn gated(store: &Store, gate: &Gate, id: &str) -> Result<(), Error> {
    gate.pass().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_scope_and_a_key_have_a_kilobyte_each() {
    let server = Server::start().await;
    let store = open(&server).await;
    let long = "s".repeat(1_025);
    let error = store.claim(request(&long, &key("k"))).await.unwrap_err();
    assert!(error.to_string().contains("1025 bytes long, and 1024 are allowed"), "{error}");
    assert!(!error.is_unanswered());
    acquire(&store, request(&long[1..], &key("k".repeat(1_024)))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r07_a_key_that_is_gone_is_told_from_one_that_another_has() {
    let server = Server::start().await;
    let store = open(&server).await;
    tells_gone_from_lost(&store).await;
    let (running, gate) = (store.clone(), Gate::default());
    let handler = tokio::spawn({
        let gate = gate.clone();
        async move { gated(&running, &gate, "order").await }
    });
    gate.started().await;
    sql(&server, "DELETE FROM idem_keys").await;
    gate.open();
    let error = handler.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::LeaseLost { row_gone: true, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn a_corrupted_row_is_refused_and_not_taken_for_an_absent_one() {
    let server = Server::start().await;
    let store = open(&server).await;
    for (column, value) in CORRUPTIONS {
        let key = key(column);
        execute(&store, SCOPE, &key, &record("r")).await;
        // Behind the table's name, `key` isn't read as a keyword.
        sql(&server, &format!("UPDATE idem_keys SET {column} = {value} WHERE idem_keys.key = '{column}'")).await;
        let error = store.claim(ask(&key)).await.unwrap_err();
        assert!(!error.is_unanswered(), "{error}");
        let told = format!("the row of key `{column}` in scope `{SCOPE}` is corrupted in its column `{column}`");
        assert!(error.to_string().contains(&told), "{error}");
    }
    // A completed row whose record is missing counts as completed: the handler doesn't run again.
    charge(&store, "order").await.unwrap();
    sql(&server, "UPDATE idem_keys SET record = NULL WHERE idem_keys.key = 'order'").await;
    let error = charge(&store, "order").await.unwrap_err();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
}
