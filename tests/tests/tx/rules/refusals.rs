//! Calls that are refused, and say why: another fingerprint, no key, no table.

use idem_runtime::{Error, Outcome, idempotent};

use super::super::{Bench, Failed, Tx, book, effect};
use super::booked;

#[idempotent(key = "id", tx = "tx", fingerprint = "amount")]
async fn book_amount(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    effect(tx, id).await?;
    Ok(amount.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_key_with_another_fingerprint_is_refused() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert_eq!(book_amount(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    assert!(matches!(book_amount(&mut tx, "a", 2).await.unwrap_err().refusal(), Error::KeyReused { .. }));
    assert_eq!(book_amount(&mut tx, "a", 1).await.unwrap(), Outcome::Replayed(1));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert!(matches!(book_amount(&mut tx, "a", 2).await.unwrap_err().refusal(), Error::KeyReused { .. }));
    effect(&mut tx, "after").await.unwrap();
    tx.commit().await.unwrap();
}

#[idempotent(key = "id", tx = "tx", missing_key = "run")]
async fn book_if_keyed(tx: &mut Tx<'_>, id: Option<&str>) -> Result<Outcome<()>, Failed> {
    effect(tx, "unkeyed").await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_missing_key_is_an_error_or_runs_unprotected() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert!(matches!(book(&mut tx, "", 1).await.unwrap_err().refusal(), Error::MissingKey { .. }));
    assert_eq!(book_if_keyed(&mut tx, None).await.unwrap(), Outcome::Executed(()));
    assert_eq!(book_if_keyed(&mut tx, None).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("unkeyed").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_missing_table_is_said_to_be_missing() {
    let bench = Bench::new().await;
    for drop in ["DROP VIEW idem_keys_stuck", "DROP TABLE idem_keys"] {
        bench.execute(drop.to_owned()).await;
    }
    let error = booked(&bench, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    let error = error.to_string();
    let what_to_do =
        ["idem_runtime::tx::schema", "name another one", "of an earlier version"].map(|part| error.find(part));
    assert!(what_to_do[0].is_some() && what_to_do.is_sorted(), "what most readers need comes first: {error}");
}
