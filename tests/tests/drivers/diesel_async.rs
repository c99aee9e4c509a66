//! diesel-async, on PostgreSQL, and what is different there: its transactions begin and end in a closure, and its errors keep no
//! SQLSTATE.

use diesel_async::{
    AnsiTransactionManager, AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _,
    TransactionManager as _,
};
use idem_runtime::{Error, Outcome, idempotent, run_once};

use super::support::postgres::Bench;
use super::{Driver, READ, effect};

pub(crate) struct Client(AsyncPgConnection);

impl Driver for Client {
    type Tx<'t> = &'t mut AsyncPgConnection;
    type Handle<'t> = AsyncPgConnection;

    const KEEPS_CODES: bool = false;

    async fn connect(url: &str) -> Self {
        Self(AsyncPgConnection::establish(url).await.unwrap())
    }

    async fn begin(&mut self) -> Self::Tx<'_> {
        AnsiTransactionManager::begin_transaction(&mut self.0).await.unwrap();
        &mut self.0
    }

    async fn begin_strictly(&mut self) -> Self::Tx<'_> {
        let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE";
        AnsiTransactionManager::begin_transaction_sql(&mut self.0, begin).await.unwrap();
        assert!(Self::runs(&mut self.0, READ).await);
        &mut self.0
    }

    async fn commit(tx: Self::Tx<'_>) {
        AnsiTransactionManager::commit_transaction(tx).await.unwrap();
    }

    async fn rollback(tx: Self::Tx<'_>) {
        AnsiTransactionManager::rollback_transaction(tx).await.unwrap();
    }

    async fn runs(tx: &mut Self::Handle<'_>, sql: &str) -> bool {
        tx.batch_execute(sql).await.is_ok()
    }
}

#[derive(Debug)]
enum Failed {
    Declined,
    Diesel(#[expect(dead_code, reason = "shown where a test fails")] diesel::result::Error),
    Refused(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<diesel::result::Error> for Failed {
    fn from(error: diesel::result::Error) -> Self {
        Self::Diesel(error)
    }
}

/// What the body of `charge` does behind its effect.
#[derive(Clone, Copy)]
enum Then {
    Return,
    Decline,
    /// Passes over an error of the database, which refuses all that follows in the transaction.
    Ignore,
    /// Ends the transaction, which is not for it to do, and goes on.
    RollBack,
}

#[idempotent(key = "id", tx = "tx")]
async fn charge(tx: &mut AsyncPgConnection, id: &str, then: Then) -> Result<Outcome<()>, Failed> {
    tx.batch_execute(&effect(id)).await?;
    match then {
        Then::Return => {}
        Then::Decline => return Err(Failed::Declined),
        Then::Ignore => assert!(!Client::runs(tx, "SELECT 1 / 0").await),
        Then::RollBack => tx.batch_execute(&format!("ROLLBACK; {}", effect("after"))).await?,
    }
    Ok(().into())
}

/// Charges in a transaction of its own, as a consumer does.
async fn charged(connection: &mut AsyncPgConnection, id: &str, then: Then) -> Result<Outcome<()>, Failed> {
    connection.transaction(async |tx| charge(tx, id, then).await).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_what_a_closure_returns_decides_of_its_transaction() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let declined = charged(&mut connection, "a", Then::Decline).await;
    assert!(matches!(declined, Err(Failed::Declined)), "{declined:?}");
    assert_eq!(bench.effects("a").await, 0);
    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        assert_eq!(charged(&mut connection, "a", Then::Return).await.unwrap(), expected);
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_block_in_a_closure_is_the_same() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let mut refund = async |id: &'static str, declines: bool| {
        let closure = async |tx: &mut AsyncPgConnection| {
            run_once!(key = id, scope = "drivers/refund", tx = &mut *tx, async {
                tx.batch_execute(&effect(id)).await?;
                if declines { Err(Failed::Declined) } else { Ok(Outcome::Executed(())) }
            })
            .await
        };
        connection.transaction(closure).await
    };
    let declined = refund("a", true).await;
    assert!(matches!(declined, Err(Failed::Declined)), "{declined:?}");
    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        assert_eq!(refund("a", false).await.unwrap(), expected);
    }
    assert_eq!(bench.effects("a").await, 1);
}

/// PostgreSQL answers the commit of such a transaction with a rollback, and diesel doesn't look at the answer.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_body_that_passes_over_an_error_is_not_recorded_and_runs_again() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let error = match charged(&mut connection, "a", Then::Ignore).await {
        Err(Failed::Refused(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error, Error::NotRecorded { in_transaction: true, .. }) && error.is_retryable(), "{error:?}");
    assert_eq!(charged(&mut connection, "a", Then::Return).await.unwrap(), Outcome::Executed(()));
    assert_eq!(bench.effects("a").await, 1);
}

/// The docs' advice for a closure whose own statements may fail: it ends with a statement that fails then.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_closure_that_passes_over_an_error_finds_out_with_one_more_statement() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let mut ends = async |asks: bool| {
        let closure = async |tx: &mut AsyncPgConnection| {
            let charged = charge(tx, "a", Then::Return).await?;
            assert!(!Client::runs(tx, "SELECT 1 / 0").await);
            if asks {
                tx.batch_execute("SELECT 1").await?;
            }
            Ok::<_, Failed>(charged)
        };
        connection.transaction(closure).await
    };
    assert_eq!(ends(false).await.unwrap(), Outcome::Executed(()), "diesel doesn't tell");
    assert!(matches!(ends(true).await, Err(Failed::Diesel(_))));
    assert_eq!(bench.effects("a").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_body_that_ends_its_transaction_is_told_that_a_part_may_be_committed() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let lost = charged(&mut connection, "a", Then::RollBack).await;
    assert!(matches!(lost, Err(Failed::Refused(Error::TransactionLost { .. }))), "{lost:?}");
    assert_eq!((bench.effects("a").await, bench.effects("after").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_a_connection_outside_of_a_transaction_is_refused() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    for begin in ["SELECT 1", "BEGIN"] {
        // diesel doesn't know of a transaction that was begun by its text.
        connection.batch_execute(begin).await.unwrap();
        let refused = charge(&mut connection, "a", Then::Return).await;
        assert!(matches!(refused, Err(Failed::Refused(Error::NotInTransaction { .. }))), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r22_what_is_rolled_back_to_a_savepoint_never_was() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let closure = async |tx: &mut AsyncPgConnection| {
        let declined = tx
            .transaction(async |savepoint| {
                assert_eq!(charge(savepoint, "a", Then::Return).await?, Outcome::Executed(()));
                Err::<(), _>(Failed::Declined)
            })
            .await;
        assert!(matches!(declined, Err(Failed::Declined)), "{declined:?}");
        charge(tx, "a", Then::Return).await
    };
    let charged: Result<_, Failed> = connection.transaction(closure).await;
    assert_eq!(charged.unwrap(), Outcome::Executed(()));
    assert_eq!(bench.effects("a").await, 1);
}

/// As the docs say, a deadlock is not told from other errors.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r23_the_victim_of_a_deadlock_gets_the_store_s_error_and_can_be_run_again() {
    let bench = Bench::new().await;
    let (mut one, mut other) = (Client::connect(&bench.url).await, Client::connect(&bench.url).await);
    let (one, other) = (one.begin().await, other.begin().await);
    charge(one, "a", Then::Return).await.unwrap();
    charge(other, "b", Then::Return).await.unwrap();
    // Each waits for the other. The winner goes on once the victim's transaction is rolled back.
    let run = async |tx: &mut AsyncPgConnection, id: &str| {
        let charged = charge(tx, id, Then::Return).await;
        Client::rollback(tx).await;
        charged
    };
    let outcomes = tokio::join!(run(one, "b"), run(other, "a"));
    let error = match outcomes {
        (Err(Failed::Refused(error)), Ok(_)) | (Ok(_), Err(Failed::Refused(error))) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(error, Error::Store { .. }) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("deadlock detected"), "{error}");
}

/// The connection of a call that was dropped has to go, as diesel leaves its transaction open.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn r25_a_call_that_is_dropped_with_its_connection_never_was() {
    let bench = Bench::new().await;
    let Client(mut connection) = Client::connect(&bench.url).await;
    let ran = idem_tests::Gate::default();
    let closure = async |tx: &mut AsyncPgConnection| {
        let charged = charge(tx, "a", Then::Return).await;
        ran.pass().await;
        charged
    };
    tokio::select! {
        biased;
        _ = connection.transaction(closure) => panic!("the gate is shut"),
        () = ran.started() => {}
    }
    drop(connection);
    let Client(mut connection) = Client::connect(&bench.url).await;
    assert_eq!(charged(&mut connection, "a", Then::Return).await.unwrap(), Outcome::Executed(()));
    assert_eq!(bench.effects("a").await, 1);
}
