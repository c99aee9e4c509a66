//! R22 to R24: commit, rollback and savepoints, duplicates in concurrent transactions, a transaction behind a duplicate.

use std::sync::Arc;

use idem_runtime::{Error, Outcome, idempotent};
use sqlx::Acquire as _;
use tokio::task::JoinSet;

use super::super::{BOOK, Bench, Connection, Failed, begun_by_text, book, effect};
use super::booked;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_what_is_committed_is_replayed_and_what_is_rolled_back_never_was() {
    let bench = Bench::new().await;

    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    tx.rollback().await.unwrap();
    assert_eq!((bench.effects("a").await, bench.rows(BOOK).await), (0, 0));

    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Executed(2));
    assert_eq!(book(&mut tx, "a", 3).await.unwrap(), Outcome::Replayed(2), "in the same transaction");
    tx.commit().await.unwrap();

    assert_eq!(booked(&bench, "a", 4).await.unwrap(), Outcome::Replayed(2));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_what_is_rolled_back_to_a_savepoint_never_was() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let mut savepoint = tx.begin().await.unwrap();
    assert_eq!(book(&mut savepoint, "a", 1).await.unwrap(), Outcome::Executed(1));
    savepoint.rollback().await.unwrap();
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Executed(2));
    tx.commit().await.unwrap();
    assert_eq!(booked(&bench, "a", 3).await.unwrap(), Outcome::Replayed(2));
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "id", tx = "connection")]
async fn book_on_connection(connection: &mut Connection, id: &str) -> Result<Outcome<()>, Failed> {
    effect(connection, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_connection_outside_of_a_transaction_is_refused() {
    let bench = Bench::new().await;
    let mut connection = bench.pool.acquire().await.unwrap();

    let refused = book_on_connection(&mut connection, "a").await.unwrap_err().refusal();
    assert!(matches!(refused, Error::NotInTransaction { .. }), "{refused}");
    assert!(refused.to_string().contains("begin one with the driver's own method"), "{refused}");
    // A transaction that was begun by its text: sqlx doesn't know of it.
    begun_by_text(&mut connection).await;
    let refused = book_on_connection(&mut connection, "a").await.unwrap_err().refusal();
    assert!(matches!(refused, Error::NotInTransaction { .. }), "{refused}");
    assert!(!refused.executed() && !refused.is_retryable());
    connection.close().await.unwrap();

    let mut tx = bench.begin().await;
    assert_eq!(book_on_connection(&mut tx, "a").await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(book_on_connection(&mut tx, "a").await.unwrap(), Outcome::Replayed(()));
    assert_eq!(bench.effects("a").await, 1);
}

/// Books `id` in two transactions at once. The first one ends, by a commit or a rollback, when the second waits for it. Returns the
/// result of the second.
async fn overtaken(bench: &Bench, id: &'static str, commit: bool) -> Result<Outcome<u64>, Failed> {
    let mut first = bench.begin().await;
    assert_eq!(book(&mut first, id, 1).await.unwrap(), Outcome::Executed(1));
    let second = async { booked(bench, id, 2).await };
    let end = async {
        bench.someone_waits().await;
        if commit { first.commit().await } else { first.rollback().await }
    };
    let (second, ended) = tokio::join!(second, end);
    ended.unwrap();
    second
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r23_a_concurrent_duplicate_waits_and_then_replays() {
    let bench = Bench::new().await;
    assert_eq!(overtaken(&bench, "a", true).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r23_a_concurrent_duplicate_waits_and_then_runs_if_the_first_was_rolled_back() {
    let bench = Bench::new().await;
    assert_eq!(overtaken(&bench, "a", false).await.unwrap(), Outcome::Executed(2));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r23_of_many_at_once_one_runs_and_each_that_fails_can_be_run_again() {
    let bench = Arc::new(Bench::new().await);
    for id in ["a", "b", "c", "d"] {
        let mut handlers = JoinSet::new();
        for nth in 0..8 {
            let bench = Arc::clone(&bench);
            handlers.spawn(async move {
                loop {
                    match booked(&bench, id, nth).await {
                        Ok(outcome) => break outcome,
                        Err(Failed::Refused(error)) => {
                            assert!(matches!(error, Error::Conflict { .. }) && error.is_retryable(), "{error}");
                        }
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
        let outcomes = handlers.join_all().await;
        let ran: Vec<_> = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Executed(_))).collect();
        let [Outcome::Executed(result)] = ran[..] else { panic!("{outcomes:?}") };
        let replayed = outcomes.iter().filter(|outcome| **outcome == Outcome::Replayed(*result)).count();
        assert_eq!((replayed, bench.effects(id).await), (7, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r24_a_duplicate_leaves_the_transaction_usable() {
    let bench = Bench::new().await;
    booked(&bench, "a", 1).await.unwrap();

    let mut tx = bench.begin().await;
    effect(&mut tx, "before").await.unwrap();
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(book(&mut tx, "b", 3).await.unwrap(), Outcome::Executed(3));
    effect(&mut tx, "after").await.unwrap();
    tx.commit().await.unwrap();
    for id in ["before", "a", "b", "after"] {
        assert_eq!(bench.effects(id).await, 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r24_a_duplicate_that_waited_leaves_the_transaction_usable() {
    let bench = Bench::new().await;
    let mut first = bench.begin().await;
    book(&mut first, "a", 1).await.unwrap();
    let second = async {
        let mut tx = bench.begin().await;
        assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Replayed(1));
        effect(&mut tx, "after").await.unwrap();
        tx.commit().await.unwrap();
    };
    let commit = async {
        bench.someone_waits().await;
        first.commit().await.unwrap();
    };
    tokio::join!(second, commit);
    assert_eq!((bench.effects("a").await, bench.effects("after").await), (1, 1));
}
