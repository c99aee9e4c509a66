//! `PostgresStore` and `MySqlStore`, each on a real server.
//!
//! The tests for both are compiled once for each: `super` says which. Tests for only one are in the folder of its name.

#![allow(clippy::duplicate_mod, reason = "that is the point of it")]

mod databases;

use idem_runtime::store::{ClaimAnswer, ClaimRequest, Key};
use idem_runtime::{Error, IdempotencyStore, Outcome, idempotent};
use idem_tests::steps::request;
use tokio::task::JoinSet;

/// PostgreSQL.
#[path = "."]
mod on_postgres {
    use super::databases::postgres::*;
    use super::postgres::counted::Counted;

    mod backlog;
    mod batches;
    mod conformance;
    mod dropped;
    mod names;
    mod opening;
    mod operators;
    mod places;
    mod pools;
    mod races;
    mod restarts;
    mod rows;
    mod sweeping;
    mod trips;
}

/// MariaDB.
#[path = "."]
mod on_mariadb {
    use super::databases::mariadb::*;
    use super::mariadb::counted::Counted;

    mod backlog;
    mod batches;
    mod conformance;
    mod dropped;
    mod names;
    mod opening;
    mod operators;
    mod places;
    mod pools;
    mod races;
    mod restarts;
    mod rows;
    mod sweeping;
    mod trips;
}

/// Tests for PostgreSQL only.
mod postgres {
    pub(crate) mod counted;
    mod encodings;
    mod refusals;
    mod sessions;
    mod views;
    mod waits;
    mod writes;
}

/// Tests for MariaDB only.
mod mariadb {
    pub(crate) mod counted;
    mod deadlocks;
    mod refusals;
    mod settings;
    mod sizes;
    mod waits;
    mod writes;
}

const SCOPE: &str = "sql";

fn ask(key: &Key) -> ClaimRequest<'_> {
    request(SCOPE, key)
}

#[idempotent(key = "id", scope = "sql::charge", store = store)]
async fn charge<S: IdempotencyStore>(store: &S, id: &str) -> Result<Outcome<String>, Error> {
    Ok(format!("charged {id}").into())
}

/// Charges orders, all at once.
async fn charge_all<S: IdempotencyStore>(store: &S, most: usize) -> Vec<Outcome<String>> {
    let mut calls = JoinSet::new();
    for nth in 0..most {
        let store = store.clone();
        calls.spawn(async move { charge(&store, &format!("order-{nth}")).await.unwrap() });
    }
    calls.join_all().await
}

/// Claims two keys that are taken, a hundred times each, all at once.
async fn duplicates<S: IdempotencyStore>(store: &S, keys: [&Key; 2]) -> Vec<ClaimAnswer> {
    let mut duplicates = JoinSet::new();
    for nth in 0..200 {
        let (store, key) = (store.clone(), keys[nth % 2].clone());
        duplicates.spawn(async move { store.claim(ask(&key)).await.unwrap() });
    }
    duplicates.join_all().await
}
