//! What a driver knows of its connections' transactions: `super` says which driver.

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::Failure;
use sqlx_08::Connection as _;

use super::super::{Commits as _, Driver};
use super::rules::{book, booked};
use super::{Bench, Client};
use crate::sqlx_08::Connection;

#[idempotent(key = "id", tx = "connection")]
async fn book_on_connection(connection: &mut Connection<Client>, id: &str) -> Result<Outcome<()>, Failure> {
    let _ = (connection, id);
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_connection_outside_of_a_transaction_is_refused() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;

    let refused = book_on_connection(&mut connection, "a").await.unwrap_err().refusal();
    assert!(matches!(refused, Error::NotInTransaction { .. }), "{refused}");
    // A transaction that was begun by its text: sqlx doesn't know of it.
    sqlx_08::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    let refused = book_on_connection(&mut connection, "a").await.unwrap_err().refusal();
    assert!(matches!(refused, Error::NotInTransaction { .. }), "{refused}");
    sqlx_08::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();

    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        let mut tx = connection.begin().await.unwrap();
        assert_eq!(book_on_connection(&mut tx, "a").await.unwrap(), expected);
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_what_is_rolled_back_to_a_savepoint_never_was() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let mut tx = client.begin().await;
    let mut savepoint = tx.begin().await.unwrap();
    assert_eq!(book(&mut savepoint, "a", 1).await.unwrap(), Outcome::Executed(1));
    savepoint.rollback().await.unwrap();
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Executed(2));
    Client::commit(tx).await;
    assert_eq!(booked(&mut client, "a", 3).await.unwrap(), Outcome::Replayed(2));
    assert_eq!(bench.effects("a").await, 1);
}

/// On PostgreSQL, sqlx rolls the whole transaction back in this case, and its own commit is `Ok`. On MariaDB it goes on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_behind_a_savepoint_that_was_dropped_as_it_began_tells_what_was_committed() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let mut tx = client.begin().await;
    book(&mut tx, "a", 1).await.unwrap();
    tokio::select! {
        biased;
        // An answer that is there at once begins a savepoint, which is dropped too.
        _ = tx.begin() => {}
        () = std::future::ready(()) => {}
    }
    let told = match Client::try_commit(tx).await {
        Ok(()) => 1,
        Err(Error::TransactionLost { key: None, .. }) => 0,
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(bench.effects("a").await, told);
}
