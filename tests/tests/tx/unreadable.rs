//! `on_decode` in tx mode, on one database: `super` says which.

#![allow(clippy::unnecessary_wraps, reason = "the functions of `on_decode` return a `Result`")]

use idem_runtime::{AnyStore, DecodeError, Error, Outcome, idempotent};
use idem_tests::steps::{execute, key, replay, result};
use serde::{Deserialize, Serialize};

use super::{Bench, Failed, Tx, effect};

fn nothing(_: &DecodeError) -> Result<u64, Failed> {
    Ok(0)
}

#[idempotent(key = "id", tx = "tx", on_decode = nothing)]
async fn answered(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    effect(tx, id).await?;
    Ok(amount.into())
}

const ANSWERED: &str = concat!(module_path!(), "::answered");

fn declined(_: &DecodeError) -> Result<u64, Failed> {
    Err(Failed::Declined)
}

#[idempotent(key = "id", tx = "tx", on_decode = declined)]
async fn refused(tx: &mut Tx<'_>, id: &str) -> Result<u64, Failed> {
    effect(tx, id).await?;
    Ok(1)
}

const REFUSED: &str = concat!(module_path!(), "::refused");

/// An error that lease mode recorded.
#[derive(Debug, Serialize, Deserialize)]
enum Recorded {
    NoFunds,
    #[serde(skip)]
    Refused(#[expect(dead_code, reason = "shown where a test fails")] Error),
}

impl From<Error> for Recorded {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

#[idempotent(key = "1", store = store, on_error = "record")]
async fn fails(store: &AnyStore) -> Result<u64, Recorded> {
    Err(Recorded::NoFunds)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r16_a_function_answers_for_a_record_that_can_not_be_read() {
    let bench = Bench::new().await;
    let store = AnyStore::new(bench.store().await);
    let old = result(&"hunter2");
    fails(&store).await.unwrap_err();
    let error = replay(&store, concat!(module_path!(), "::fails"), &key("1")).await;
    for (id, record) in [("a text", &old), ("an error", &error)] {
        execute(&store, ANSWERED, &key(id), record).await;
        execute(&store, REFUSED, &key(id), record).await;
        let mut tx = bench.begin().await;
        for _ in 0..2 {
            assert_eq!(answered(&mut tx, id, 7).await.unwrap(), Outcome::Replayed(0), "{id}");
            assert!(matches!(refused(&mut tx, id).await, Err(Failed::Declined)), "{id}");
        }
        effect(&mut tx, "after").await.unwrap();
        tx.commit().await.unwrap();
        // The body didn't run, and the function's answer is not recorded.
        assert_eq!(bench.effects(id).await, 0, "{id}");
        for scope in [ANSWERED, REFUSED] {
            assert_eq!(replay(&store, scope, &key(id)).await, *record, "{id}");
        }
    }
    assert_eq!(bench.effects("after").await, 2);
}
