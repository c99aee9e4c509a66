//! The results of `tx::commit`, through one driver: `super` says which.

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::Failure;
use idem_tests::proxy::{Proxy, holding};

use super::super::{Commits as _, Driver, effect};
use super::rules::{book, booked};
use super::{Bench, Client, ENDS_WHAT_IT_UNDID, TRIPS};

type Tx<'t> = <Client as Driver>::Handle<'t>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_of_what_the_database_undid_is_an_error() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let mut tx = client.begin().await;
    assert_eq!(book(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    bench.undo(async |sql| Client::runs(&mut tx, sql).await).await;
    let error = Client::try_commit(tx).await.unwrap_err();
    let as_expected = match &error {
        Error::TransactionLost { key, .. } => key.is_none() && ENDS_WHAT_IT_UNDID && !error.is_retryable(),
        Error::Conflict { key, .. } => key.is_none() && !ENDS_WHAT_IT_UNDID && error.is_retryable(),
        _ => false,
    };
    assert!(as_expected && error.executed(), "{error:?}");
    assert_eq!(bench.effects("a").await, 0);
    assert_eq!(booked(&mut client, "a", 2).await.unwrap(), Outcome::Executed(2));
}

/// A body that passes over an error with which the database rolled its transaction back, and writes again.
#[idempotent(key = "id", tx = "tx")]
async fn persist(tx: &mut Tx<'_>, id: &str, bench: &Bench) -> Result<(), Failure> {
    Client::effect(tx, id).await;
    bench.undo(async |sql| Client::runs(tx, sql).await).await;
    Client::runs(tx, &effect("after")).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_body_that_goes_on_where_its_transaction_is_gone_is_told_that_a_part_may_be_committed() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let mut tx = client.begin().await;
    let error = persist(&mut tx, "a", &bench).await.unwrap_err().refusal();
    let as_expected = match &error {
        Error::TransactionLost { .. } => ENDS_WHAT_IT_UNDID,
        Error::NotRecorded { .. } => !ENDS_WHAT_IT_UNDID,
        _ => false,
    };
    assert!(as_expected && error.executed(), "{error:?}");
    // A caller that passes over this error gets another from the commit.
    Client::try_commit(tx).await.unwrap_err();
    assert_eq!((bench.effects("a").await, bench.effects("after").await), (0, i64::from(ENDS_WHAT_IT_UNDID)));
}

/// Loses the answer to a commit, or the commit itself. Returns the outcome of a redelivery; `None` if there is no connection that a
/// proxy could cut.
async fn unanswered(arrives: bool) -> Option<Outcome<u64>> {
    TRIPS?;
    let bench = Bench::new().await;
    let port = bench.url.split(['/', ':']).find_map(|part| part.parse().ok()).expect("a port");
    let proxy = Proxy::start(port).await;
    let mut client = Client::connect(&proxy.url(&bench.url)).await;
    let mut tx = client.begin().await;
    book(&mut tx, "a", 1).await.unwrap();
    let error = if arrives {
        let cut = proxy.cut_after(holding(b"COMMIT"));
        let error = Client::try_commit(tx).await.unwrap_err();
        cut.struck().await;
        error
    } else {
        let cut = proxy.delay(holding(b"COMMIT"));
        let error = Client::try_commit(tx).await.unwrap_err();
        drop(cut.struck().await);
        error
    };
    let is_unknown = matches!(error, Error::NotRecorded { key: None, in_transaction: true, .. });
    assert!(is_unknown && error.executed() && error.is_retryable(), "{error:?}");
    let redelivered = booked(&mut Client::connect(&bench.url).await, "a", 2).await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
    Some(redelivered)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_that_was_not_answered_is_not_known_and_replays_or_runs() {
    if let Some(redelivered) = unanswered(true).await {
        assert_eq!(redelivered, Outcome::Replayed(1));
        assert_eq!(unanswered(false).await, Some(Outcome::Executed(2)));
    }
}
