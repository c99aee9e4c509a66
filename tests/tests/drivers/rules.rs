//! The rules of tx mode, through one driver: `super` says which.

use std::time::Duration;

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::proxy::{Proxy, holding};
use idem_tests::{Count, Failure, Gate};

use super::super::{Driver, effect, logs};
use super::{Bench, Client, ENDS_WHAT_IT_UNDID, TRIPS};

type Tx<'t> = <Client as Driver>::Tx<'t>;

#[idempotent(key = "id", tx = "tx")]
async fn book(tx: &Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failure> {
    Client::effect(tx, id).await;
    Ok(amount.into())
}

#[idempotent(key = "id", tx = "tx")]
async fn book_by_mut(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failure> {
    Client::effect(tx, id).await;
    Ok(amount.into())
}

/// Books in a new transaction, and commits it.
async fn booked(client: &mut Client, id: &str, amount: u64) -> Result<Outcome<u64>, Failure> {
    let tx = client.begin().await;
    let booked = book(&tx, id, amount).await;
    match booked {
        Ok(_) => Client::commit(tx).await,
        Err(_) => Client::rollback(tx).await,
    }
    booked
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_what_is_committed_is_replayed_and_what_is_rolled_back_never_was() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;

    let tx = client.begin().await;
    assert_eq!(book(&tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    Client::rollback(tx).await;
    assert_eq!((bench.effects("a").await, bench.rows(concat!(module_path!(), "::book")).await), (0, 0));

    let tx = client.begin().await;
    assert_eq!(book(&tx, "a", 2).await.unwrap(), Outcome::Executed(2));
    assert_eq!(book(&tx, "a", 3).await.unwrap(), Outcome::Replayed(2), "in the same transaction");
    Client::commit(tx).await;

    assert_eq!(booked(&mut client, "a", 4).await.unwrap(), Outcome::Replayed(2));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_by_a_mutable_reference_as_well() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;

    let mut tx = client.begin().await;
    assert_eq!(book_by_mut(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    Client::rollback(tx).await;
    for expected in [Outcome::Executed(2), Outcome::Replayed(2)] {
        let mut tx = client.begin().await;
        assert_eq!(book_by_mut(&mut tx, "a", 2).await.unwrap(), expected);
        Client::commit(tx).await;
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r22_a_commit_of_what_the_database_undid_is_an_error() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let tx = client.begin().await;
    assert_eq!(book(&tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    bench.undo(async |sql| Client::runs(&tx, sql).await).await;
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
async fn persist(tx: &Tx<'_>, id: &str, bench: &Bench) -> Result<(), Failure> {
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
    let tx = client.begin().await;
    let error = persist(&tx, "a", &bench).await.unwrap_err().refusal();
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
    let tx = client.begin().await;
    book(&tx, "a", 1).await.unwrap();
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

/// Books the same key in two transactions at once. The first ends when the second waits for it. Returns the result of the second.
async fn overtaken(bench: &Bench, commits: bool) -> Result<Outcome<u64>, Failure> {
    let (mut one, mut other) = (Client::connect(&bench.url).await, Client::connect(&bench.url).await);
    let first = one.begin().await;
    assert_eq!(book(&first, "a", 1).await.unwrap(), Outcome::Executed(1));
    let end = async {
        bench.someone_waits().await;
        if commits { Client::commit(first).await } else { Client::rollback(first).await }
    };
    tokio::join!(booked(&mut other, "a", 2), end).0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r23_a_concurrent_duplicate_waits_and_then_replays() {
    let bench = Bench::new().await;
    assert_eq!(overtaken(&bench, true).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r23_a_concurrent_duplicate_waits_and_then_runs_if_the_first_was_rolled_back() {
    let bench = Bench::new().await;
    assert_eq!(overtaken(&bench, false).await.unwrap(), Outcome::Executed(2));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r23_at_a_stricter_level_a_concurrent_duplicate_is_a_conflict_that_can_be_run_again() {
    let bench = Bench::new().await;
    let (mut one, mut other) = (Client::connect(&bench.url).await, Client::connect(&bench.url).await);
    let strict = other.begin_strictly().await;
    let first = one.begin().await;
    assert_eq!(book(&first, "a", 1).await.unwrap(), Outcome::Executed(1));
    let commit = async {
        // Longer than any of the strict transactions waits.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        Client::commit(first).await;
    };
    let (duplicate, ()) = tokio::join!(book(&strict, "a", 2), commit);
    let error = duplicate.unwrap_err().refusal();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    assert!(error.is_retryable() && !error.executed(), "{error}");
    assert!(error.to_string().contains("roll"), "{error}");
    Client::rollback(strict).await;

    let again = other.begin_strictly().await;
    assert_eq!(book(&again, "a", 3).await.unwrap(), Outcome::Replayed(1));
    Client::commit(again).await;
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r24_a_duplicate_leaves_the_transaction_usable() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    booked(&mut client, "a", 1).await.unwrap();

    let tx = client.begin().await;
    Client::effect(&tx, "before").await;
    assert_eq!(book(&tx, "a", 2).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(book(&tx, "b", 3).await.unwrap(), Outcome::Executed(3));
    Client::effect(&tx, "after").await;
    Client::commit(tx).await;
    for id in ["before", "a", "b", "after"] {
        assert_eq!(bench.effects(id).await, 1, "{id}");
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn decline(tx: &Tx<'_>, id: &str, declines: bool) -> Result<Outcome<()>, Failure> {
    Client::effect(tx, id).await;
    if declines { Err(Failure::Declined) } else { Ok(().into()) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_an_err_leaves_no_claim_behind_even_if_the_caller_commits() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let tx = client.begin().await;
    assert!(matches!(decline(&tx, "a", true).await, Err(Failure::Declined)));
    Client::commit(tx).await;
    assert_eq!(bench.rows(concat!(module_path!(), "::decline")).await, 0);

    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        let tx = client.begin().await;
        assert_eq!(decline(&tx, "a", false).await.unwrap(), expected);
        Client::commit(tx).await;
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn pause(tx: &Tx<'_>, id: &str, gate: &Gate) -> Result<Outcome<()>, Failure> {
    gate.pass().await;
    Client::effect(tx, id).await;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_message_whose_handler_was_timed_out_and_committed_is_not_lost() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let gate = Gate::default();
    let tx = client.begin().await;
    tokio::select! {
        biased;
        _ = pause(&tx, "a", &gate) => panic!("the gate is shut"),
        () = gate.started() => {}
    }
    Client::commit(tx).await;
    assert_eq!(bench.rows(concat!(module_path!(), "::pause")).await, 1, "it was committed while it was pending");

    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        let tx = client.begin().await;
        assert_eq!(pause(&tx, "a", &Gate::opened()).await.unwrap(), expected);
        Client::commit(tx).await;
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "id", tx = "tx")]
async fn do_nothing(tx: &Tx<'_>, id: &str) -> Result<Outcome<()>, Failure> {
    let _ = (tx, id);
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r26_an_execution_and_a_duplicate_take_so_many_round_trips() {
    let Some((execution, duplicate)) = TRIPS else { return };
    let bench = Bench::new().await;
    let port = bench.url.split(['/', ':']).find_map(|part| part.parse().ok()).expect("a port");
    let (proxy, trips) = (Proxy::start(port).await, Count::default());
    let mut client = Client::connect(&proxy.url(&bench.url)).await;
    let tx = client.begin().await;
    // A driver prepares each statement once per connection: not counted.
    do_nothing(&tx, "a").await.unwrap();

    let counted = trips.clone();
    let _uncut = proxy.cut_after(move |_| {
        counted.up();
        false
    });
    assert_eq!(do_nothing(&tx, "b").await.unwrap(), Outcome::Executed(()));
    assert_eq!(trips.get(), execution);
    assert_eq!(do_nothing(&tx, "b").await.unwrap(), Outcome::Replayed(()));
    assert_eq!(trips.get(), execution + duplicate);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_missing_table_is_said_to_be_missing() {
    let bench = Bench::new().await;
    for drop in ["DROP VIEW idem_keys_stuck", "DROP TABLE idem_keys"] {
        bench.execute(drop.to_owned()).await;
    }
    let mut client = Client::connect(&bench.url).await;
    let error = booked(&mut client, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(error.to_string().contains("idem_runtime::tx::schema"), "{error}");
}

#[idempotent(key = "id", tx = "tx")]
async fn tell(tx: &Tx<'_>, id: &str) -> Result<Outcome<String>, Failure> {
    Client::effect(tx, id).await;
    Ok(logs::SECRET.to_owned().into())
}

// On one thread, as only its events are collected.
#[tokio::test]
#[ignore = "starts servers: run by tests/run"]
async fn r19_a_recorded_result_is_in_no_log() {
    let bench = Bench::new().await;
    let logs = logs::Logs::of_this_thread();
    let mut client = Client::connect(&bench.url).await;
    for expected in [Outcome::Executed(logs::SECRET.to_owned()), Outcome::Replayed(logs::SECRET.to_owned())] {
        let tx = client.begin().await;
        assert_eq!(tell(&tx, "a").await.unwrap(), expected);
        Client::commit(tx).await;
    }
    let logs = logs.text();
    assert!(logs.contains("INSERT INTO effects"), "the driver's own events are missing: {logs}");
    for form in logs::forms() {
        assert!(!logs.contains(&form), "{form} in {logs}");
    }
}
