//! The results of `tx::commit`, on one database: `super` says which.

use idem_runtime::{Error, Outcome, idempotent, tx};
use sqlx::{Connection as _, Executor as _};

use super::{BOOK, Bench, Connection, ENDS_WHAT_IT_UNDID, Failed, Tx, book, effect};

/// Runs a statement, and returns whether it succeeded: its caller passes over an error.
async fn runs(connection: &mut Connection, sql: &'static str) -> bool {
    connection.execute(sql).await.is_ok()
}

/// The message is delivered again.
async fn redelivered(bench: &Bench, id: &str) -> Outcome<u64> {
    let mut tx = bench.begin().await;
    let outcome = book(&mut tx, id, 2).await.unwrap();
    tx::commit(tx).await.unwrap();
    outcome
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_what_is_committed_is_replayed() {
    let bench = Bench::new().await;
    for expected in [Outcome::Executed(1), Outcome::Replayed(1)] {
        let mut tx = bench.begin().await;
        assert_eq!(book(&mut tx, "a", 1).await.unwrap(), expected);
        tx::commit(tx).await.unwrap();
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_of_what_the_database_undid_is_an_error() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    bench.undo(async |sql| runs(&mut tx, sql).await).await;
    let error = tx::commit(tx).await.unwrap_err();
    if ENDS_WHAT_IT_UNDID {
        assert!(matches!(error, Error::TransactionLost { key: None, .. }) && !error.is_retryable(), "{error:?}");
    } else {
        assert!(matches!(error, Error::Conflict { key: None, .. }) && error.is_retryable(), "{error:?}");
    }
    assert!(error.executed(), "{error}");
    assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));
    // The connection went back to the pool in good order: the pool's connections can all begin a transaction.
    for _ in 0..10 {
        bench.begin().await.rollback().await.unwrap();
    }
    assert_eq!(redelivered(&bench, "a").await, Outcome::Executed(2));
}

/// sqlx rolls the whole transaction back in this case, and its own commit is `Ok`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_behind_a_savepoint_that_could_not_be_begun_is_an_error() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    book(&mut tx, "a", 1).await.unwrap();
    tx.begin_with("BEGIN").await.unwrap_err();
    let error = tx::commit(tx).await.unwrap_err();
    assert!(matches!(error, Error::TransactionLost { key: None, .. }), "{error:?}");
    assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));
}

/// A body that passes over an error with which the database rolled its transaction back, and writes again.
#[idempotent(key = "id", tx = "tx")]
async fn persist(tx: &mut Tx<'_>, id: &str, bench: &Bench) -> Result<(), Failed> {
    effect(tx, id).await?;
    bench.undo(async |sql| runs(&mut *tx, sql).await).await;
    let _ = effect(tx, "after").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_body_that_goes_on_where_its_transaction_is_gone_is_told_that_a_part_may_be_committed() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let error = persist(&mut tx, "a", &bench).await.unwrap_err().refusal();
    assert!(error.executed(), "{error:?}");
    if ENDS_WHAT_IT_UNDID {
        assert!(matches!(error, Error::TransactionLost { key: Some(_), .. }) && !error.is_retryable(), "{error:?}");
    } else {
        assert!(matches!(error, Error::NotRecorded { key: Some(_), .. }) && error.is_retryable(), "{error:?}");
    }
    // A caller that passes over this error gets another from the commit.
    tx::commit(tx).await.unwrap_err();
    assert_eq!((bench.effects("a").await, bench.effects("after").await), (0, i64::from(ENDS_WHAT_IT_UNDID)));
    assert_eq!(bench.rows(concat!(module_path!(), "::persist")).await, 0);
}

/// A body that says that it did nothing, in a transaction that the database rolled back.
#[idempotent(key = "id", tx = "tx")]
async fn skip(tx: &mut Tx<'_>, id: &str, bench: &Bench) -> Result<Outcome<()>, Failed> {
    bench.undo(async |sql| runs(&mut *tx, sql).await).await;
    Ok(Outcome::Skipped(()))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_skip_in_what_the_database_undid_is_told_by_the_commit() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    effect(&mut tx, "before").await.unwrap();
    assert_eq!(skip(&mut tx, "a", &bench).await.unwrap(), Outcome::Skipped(()));
    let error = tx::commit(tx).await.unwrap_err();
    assert_eq!(matches!(error, Error::TransactionLost { .. }), ENDS_WHAT_IT_UNDID, "{error:?}");
    assert_eq!((bench.effects("before").await, bench.rows(concat!(module_path!(), "::skip")).await), (0, 0));
}
