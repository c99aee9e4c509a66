//! Databases that can't hold every text.

use idem_runtime::IdempotencyStore;
use idem_runtime::conformance::Suite;
use idem_tests::steps::{key, request};
use tokio::task::JoinSet;

use crate::SCOPE;
use crate::databases::postgres::{Server, Store, open, sql};

/// A database with the encoding LATIN1, which has few characters, and the locale C.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn conforms_in_a_database_of_another_encoding() {
    let server = Server::start().await;
    sql(&server, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await;
    let url = server.url().replace("/postgres", "/latin");
    Suite::new().run(async || Store::open(&url).await.unwrap()).await;
}

/// PostgreSQL refuses this scope. Other claims of the same batch succeed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn a_scope_that_is_no_text_fails_alone() {
    let server = Server::start().await;
    let store = open(&server).await;
    let mut calls = JoinSet::new();
    for nth in 0..64 {
        let store = store.clone();
        calls.spawn(async move {
            let key = key(format!("{nth}"));
            let scope = if nth == 40 { "with a \0" } else { SCOPE };
            let answer = store.claim(request(scope, &key)).await;
            assert_eq!(answer.is_err(), nth == 40, "{nth}: {answer:?}");
            assert!(answer.err().is_none_or(|error| !error.is_unanswered()), "it would be refused again");
        });
    }
    calls.join_all().await;
}
