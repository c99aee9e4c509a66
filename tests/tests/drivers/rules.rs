//! The rules of tx mode, through one driver: `super` says which.

use std::time::Duration;

use idem_runtime::{Error, Outcome, idempotent};
use idem_tests::proxy::Proxy;
use idem_tests::{Count, Failure, Gate};

use super::super::Driver;
use super::{Bench, Client, TRIPS};

type Tx<'t> = <Client as Driver>::Handle<'t>;

#[idempotent(key = "id", tx = "tx")]
pub(super) async fn book(tx: &mut Tx<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failure> {
    Client::effect(tx, id).await;
    Ok(amount.into())
}

/// Books in a new transaction, and commits it.
pub(super) async fn booked(client: &mut Client, id: &str, amount: u64) -> Result<Outcome<u64>, Failure> {
    let mut tx = client.begin().await;
    let booked = book(&mut tx, id, amount).await;
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

    let mut tx = client.begin().await;
    assert_eq!(book(&mut tx, "a", 1).await.unwrap(), Outcome::Executed(1));
    Client::rollback(tx).await;
    assert_eq!((bench.effects("a").await, bench.rows(concat!(module_path!(), "::book")).await), (0, 0));

    let mut tx = client.begin().await;
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Executed(2));
    assert_eq!(book(&mut tx, "a", 3).await.unwrap(), Outcome::Replayed(2), "in the same transaction");
    Client::commit(tx).await;

    assert_eq!(booked(&mut client, "a", 4).await.unwrap(), Outcome::Replayed(2));
    assert_eq!(bench.effects("a").await, 1);
}

/// Books the same key in two transactions at once. The first ends when the second waits for it. Returns the result of the second.
async fn overtaken(bench: &Bench, commits: bool) -> Result<Outcome<u64>, Failure> {
    let (mut one, mut other) = (Client::connect(&bench.url).await, Client::connect(&bench.url).await);
    let mut first = one.begin().await;
    assert_eq!(book(&mut first, "a", 1).await.unwrap(), Outcome::Executed(1));
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
    let mut strict = other.begin_strictly().await;
    let mut first = one.begin().await;
    assert_eq!(book(&mut first, "a", 1).await.unwrap(), Outcome::Executed(1));
    let commit = async {
        // Longer than any of the strict transactions waits.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        Client::commit(first).await;
    };
    let (duplicate, ()) = tokio::join!(book(&mut strict, "a", 2), commit);
    let error = duplicate.unwrap_err().refusal();
    assert!(matches!(error, Error::Conflict { .. }), "{error:?}");
    assert!(error.is_retryable() && !error.executed(), "{error}");
    assert!(error.to_string().contains("roll"), "{error}");
    Client::rollback(strict).await;

    let mut again = other.begin_strictly().await;
    assert_eq!(book(&mut again, "a", 3).await.unwrap(), Outcome::Replayed(1));
    Client::commit(again).await;
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r24_a_duplicate_leaves_the_transaction_usable() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    booked(&mut client, "a", 1).await.unwrap();

    let mut tx = client.begin().await;
    Client::effect(&mut tx, "before").await;
    assert_eq!(book(&mut tx, "a", 2).await.unwrap(), Outcome::Replayed(1));
    assert_eq!(book(&mut tx, "b", 3).await.unwrap(), Outcome::Executed(3));
    Client::effect(&mut tx, "after").await;
    Client::commit(tx).await;
    for id in ["before", "a", "b", "after"] {
        assert_eq!(bench.effects(id).await, 1, "{id}");
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn decline(tx: &mut Tx<'_>, id: &str, declines: bool) -> Result<Outcome<()>, Failure> {
    Client::effect(tx, id).await;
    if declines { Err(Failure::Declined) } else { Ok(().into()) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_an_err_leaves_no_claim_behind_even_if_the_caller_commits() {
    let bench = Bench::new().await;
    let mut client = Client::connect(&bench.url).await;
    let mut tx = client.begin().await;
    assert!(matches!(decline(&mut tx, "a", true).await, Err(Failure::Declined)));
    Client::commit(tx).await;
    assert_eq!(bench.rows(concat!(module_path!(), "::decline")).await, 0);

    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        let mut tx = client.begin().await;
        assert_eq!(decline(&mut tx, "a", false).await.unwrap(), expected);
        Client::commit(tx).await;
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn pause(tx: &mut Tx<'_>, id: &str, gate: &Gate) -> Result<Outcome<()>, Failure> {
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
    let mut tx = client.begin().await;
    tokio::select! {
        biased;
        _ = pause(&mut tx, "a", &gate) => panic!("the gate is shut"),
        () = gate.started() => {}
    }
    Client::commit(tx).await;
    assert_eq!(bench.rows(concat!(module_path!(), "::pause")).await, 1, "it was committed while it was pending");

    for expected in [Outcome::Executed(()), Outcome::Replayed(())] {
        let mut tx = client.begin().await;
        assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), expected);
        Client::commit(tx).await;
    }
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "id", tx = "tx")]
async fn do_nothing(tx: &mut Tx<'_>, id: &str) -> Result<Outcome<()>, Failure> {
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
    let mut tx = client.begin().await;
    // A driver prepares each statement once per connection: not counted.
    do_nothing(&mut tx, "a").await.unwrap();

    let counted = trips.clone();
    let _uncut = proxy.cut_after(move |_| {
        counted.up();
        false
    });
    assert_eq!(do_nothing(&mut tx, "b").await.unwrap(), Outcome::Executed(()));
    assert_eq!(trips.get(), execution);
    assert_eq!(do_nothing(&mut tx, "b").await.unwrap(), Outcome::Replayed(()));
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
    if Client::KEEPS_CODES {
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(error.to_string().contains("idem_runtime::tx::schema"), "{error}");
    } else {
        assert!(matches!(error, Error::Store { .. }), "{error:?}");
        assert!(error.to_string().contains("relation \"idem_keys\" does not exist"), "{error}");
    }
}
