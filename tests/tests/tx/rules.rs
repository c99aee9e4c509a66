//! The rules of tx mode, on one database: `super` says which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::protocol::State;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Key, Leave, Orphans, Owner, ReleaseRequest};
use idem_runtime::{Error, IdempotencyStore as _, Outcome, idempotent};
use idem_tests::{Count, Gate};
use sqlx::Acquire as _;
use tokio::task::JoinSet;

use super::{BOOK, Bench, Connection, Failed, REFUSE_UPDATES, Tx, begun_by_text, book, effect};

const LEASE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Books in a transaction of its own.
async fn booked(bench: &Bench, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    let mut tx = bench.begin().await;
    let booked = book(&mut tx, id, amount).await;
    match booked {
        Ok(_) => tx.commit().await?,
        Err(_) => tx.rollback().await?,
    }
    booked
}

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
    // sqlx doesn't know of it.
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

/// Books `id` twice at once, the second time while the first transaction is open; the first is ended by `end`.
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

#[idempotent(key = "id", tx = "tx")]
async fn decline(tx: &mut Tx<'_>, id: &str, declines: bool) -> Result<Outcome<()>, Failed> {
    effect(tx, id).await?;
    if declines { Err(Failed::Declined) } else { Ok(().into()) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_an_err_leaves_no_claim_behind_even_if_the_caller_commits() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert!(matches!(decline(&mut tx, "a", true).await, Err(Failed::Declined)));
    effect(&mut tx, "audit").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("audit").await, bench.rows(concat!(module_path!(), "::decline")).await), (1, 0));

    let mut tx = bench.begin().await;
    assert_eq!(decline(&mut tx, "a", false).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(decline(&mut tx, "a", false).await.unwrap(), Outcome::Replayed(()));
}

#[idempotent(key = "id", tx = "tx")]
async fn pause(tx: &mut Tx<'_>, id: &str, gate: &Gate) -> Result<Outcome<()>, Failed> {
    gate.pass().await;
    effect(tx, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_message_whose_handler_was_timed_out_and_committed_is_not_lost() {
    let bench = Bench::new().await;
    let gate = Gate::default();
    let mut tx = bench.begin().await;
    tokio::select! {
        biased;
        _ = pause(&mut tx, "a", &gate) => panic!("the gate is shut"),
        () = gate.started() => {}
    }
    effect(&mut tx, "unrelated").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("a").await, bench.effects("unrelated").await), (0, 1));
    assert_eq!(bench.rows(concat!(module_path!(), "::pause")).await, 1, "it was committed while it was pending");

    let mut tx = bench.begin().await;
    assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), Outcome::Replayed(()));
    assert_eq!(bench.effects("a").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_handler_that_was_timed_out_can_be_called_again_in_the_same_transaction() {
    let bench = Bench::new().await;
    let gate = Gate::default();
    let mut tx = bench.begin().await;
    tokio::select! {
        biased;
        _ = pause(&mut tx, "a", &gate) => panic!("the gate is shut"),
        () = gate.started() => {}
    }
    assert_eq!(pause(&mut tx, "a", &Gate::opened()).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "id", tx = "tx")]
async fn unwind(tx: &mut Tx<'_>, id: &str, panics: bool) -> Result<Outcome<()>, Failed> {
    assert!(!panics, "as it was told");
    effect(tx, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r25_a_message_whose_handler_unwound_and_committed_is_not_lost() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let mut handler = Box::pin(unwind(&mut tx, "a", true));
    let unwound = std::future::poll_fn(|cx| {
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
            Ok(std::task::Poll::Ready(_)) => panic!("it doesn't return"),
            Err(_) => std::task::Poll::Ready(true),
        }
    });
    assert!(unwound.await);
    drop(handler);
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    assert_eq!(unwind(&mut tx, "a", false).await.unwrap(), Outcome::Executed(()));
    tx.commit().await.unwrap();
    assert_eq!(bench.effects("a").await, 1);
}

#[idempotent(key = "format!(\"{id}\")", tx = "tx")]
async fn change_arguments(tx: &mut Tx<'_>, mut id: String) -> Result<Outcome<String>, Failed> {
    id.push_str(", changed");
    effect(tx, &id).await?;
    Ok(id.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r01_a_body_that_changes_its_arguments_changes_nothing() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let changed = "a, changed".to_owned();
    assert_eq!(change_arguments(&mut tx, "a".to_owned()).await.unwrap(), Outcome::Executed(changed.clone()));
    assert_eq!(change_arguments(&mut tx, "a".to_owned()).await.unwrap(), Outcome::Replayed(changed));
}

type Everything = (Option<Option<u8>>, f64, BTreeMap<i64, Vec<u8>>, Vec<()>, bool);

#[idempotent(key = "id", tx = "tx")]
async fn anything(tx: &mut Tx<'_>, id: &str, result: Everything) -> Result<Outcome<Everything>, Failed> {
    effect(tx, id).await?;
    Ok(result.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r04_any_result_is_replayed_as_it_was() {
    let bench = Bench::new().await;
    let results: [Everything; 3] = [
        (Some(None), f64::NEG_INFINITY, BTreeMap::from([(-1, vec![0, 255])]), vec![], false),
        (None, -0.0, BTreeMap::new(), vec![(), ()], true),
        (
            Some(Some(0)),
            0.1,
            BTreeMap::from([(i64::MIN, vec![]), (i64::MAX, b"\x00\x1b'\"\\".to_vec())]),
            vec![()],
            true,
        ),
    ];
    for (nth, result) in results.into_iter().enumerate() {
        let id = format!("result-{nth}");
        let mut tx = bench.begin().await;
        assert_eq!(anything(&mut tx, &id, result.clone()).await.unwrap(), Outcome::Executed(result.clone()));
        tx.commit().await.unwrap();
        let mut tx = bench.begin().await;
        let another = (None, 1.0, BTreeMap::new(), vec![], false);
        assert_eq!(anything(&mut tx, &id, another).await.unwrap(), Outcome::Replayed(result));
        assert_eq!(bench.effects(&id).await, 1);
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn counted(tx: &mut Tx<'_>, id: &str, count: &Count) -> Result<u32, Failed> {
    effect(tx, id).await?;
    Ok(count.up())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r05_the_body_runs_at_most_once_per_call_even_where_the_record_cannot_be_written() {
    let bench = Bench::new().await;
    let count = Count::default();
    bench.execute(REFUSE_UPDATES.to_owned()).await;
    let mut tx = bench.begin().await;
    let error = counted(&mut tx, "a", &count).await.unwrap_err().refusal();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    assert!(error.executed() && error.to_string().contains("roll back"), "{error}");
    assert_eq!(count.get(), 1);
    tx.rollback().await.unwrap();
    assert_eq!(bench.effects("a").await, 0);
}

struct Unencodable;

impl serde::Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

impl<'de> serde::Deserialize<'de> for Unencodable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("no"))
    }
}

#[idempotent(key = "id", tx = "tx")]
async fn not_kept(tx: &mut Tx<'_>, id: &str) -> Result<Unencodable, Failed> {
    effect(tx, id).await?;
    Ok(Unencodable)
}

#[idempotent(key = "id", tx = "tx")]
async fn too_large(tx: &mut Tx<'_>, id: &str) -> Result<Vec<u64>, Failed> {
    effect(tx, id).await?;
    Ok(vec![u64::MAX; 2 * 1024 * 1024])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r15_a_result_that_cannot_be_kept_is_completed_all_the_same() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    assert!(not_kept(&mut tx, "a").await.is_ok());
    assert_eq!(too_large(&mut tx, "b").await.unwrap().len(), 2 * 1024 * 1024);
    tx.commit().await.unwrap();
    let mut tx = bench.begin().await;
    let unavailable = not_kept(&mut tx, "a").await.map(drop).unwrap_err().refusal();
    assert!(matches!(unavailable, Error::ResultUnavailable { .. }), "{unavailable}");
    let unavailable = too_large(&mut tx, "b").await.unwrap_err().refusal();
    assert!(matches!(unavailable, Error::ResultUnavailable { .. }), "{unavailable}");
    effect(&mut tx, "after").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("a").await, bench.effects("b").await), (1, 1));
}

/// What a handler of another version recorded for this key.
async fn recorded<T: serde::Serialize>(bench: &Bench, id: &str, result: &T, ttl: Duration) {
    let (store, key) = (bench.store().await, key(id));
    let Resolution::Executed { record, .. } = Resolution::executed(result, ttl).unwrap() else { unreachable!() };
    let request = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("{id} is taken") };
    store.complete(CompleteRequest::new(&request, grant.fence, &record, ttl)).await.unwrap();
}

fn key(id: &str) -> Key {
    Key::of(id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r16_a_record_that_cannot_be_read_is_an_error_and_never_a_rerun() {
    let bench = Bench::new().await;
    recorded(&bench, "a", &"hunter2", DAY).await;
    let error = booked(&bench, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::Decode { .. }), "{error}");
    // R19
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(bench.effects("a").await, 0);
}

#[idempotent(key = "id", tx = "tx", ttl = "1ms")]
async fn forget_soon(tx: &mut Tx<'_>, id: &str) -> Result<Outcome<()>, Failed> {
    effect(tx, id).await?;
    Ok(().into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r17_an_expired_record_counts_as_absent() {
    let bench = Bench::new().await;
    for round in 1..=3 {
        let mut tx = bench.begin().await;
        assert_eq!(forget_soon(&mut tx, "a").await.unwrap(), Outcome::Executed(()));
        tx.commit().await.unwrap();
        assert_eq!(bench.effects("a").await, round);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r18_a_scope_has_one_handler() {
    let one = {
        #[idempotent(key = "id", tx = "tx")]
        async fn same_name(tx: &mut Tx<'_>, id: &str) -> Result<(), Failed> {
            effect(tx, id).await
        }
        same_name
    };
    let other = {
        #[idempotent(key = "id", tx = "tx")]
        async fn same_name(tx: &mut Tx<'_>, id: &str) -> Result<(), Failed> {
            effect(tx, id).await
        }
        same_name
    };
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    one(&mut tx, "a").await.unwrap();
    let taken = other(&mut tx, "b").await.unwrap_err().refusal();
    assert!(matches!(taken, Error::ScopeTaken { .. }), "{taken}");
}

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
    for drop in ["DROP VIEW idempotency_stuck", "DROP TABLE idempotency"] {
        bench.execute(drop.to_owned()).await;
    }
    let error = booked(&bench, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    assert!(error.to_string().contains("idem_runtime::tx::schema"), "{error}");
}

#[idempotent(key = "id", tx = "tx")]
async fn book_inside_itself(tx: &mut Tx<'_>, id: &str, depth: u32) -> Result<Outcome<u32>, Failed> {
    if depth > 0 {
        Box::pin(book_inside_itself(tx, id, depth - 1)).await?;
    }
    effect(tx, id).await?;
    Ok(depth.into())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r05_a_handler_that_calls_itself_with_its_own_key_is_refused() {
    let bench = Bench::new().await;
    let mut tx = bench.begin().await;
    let error = book_inside_itself(&mut tx, "a", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::NotRecorded { .. }), "{error:?}");
    tx.rollback().await.unwrap();
    assert_eq!(bench.effects("a").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn what_lease_mode_knows_of_a_key_holds_in_tx_mode() {
    let bench = Bench::new().await;
    let store = bench.store().await;

    recorded(&bench, "done", &7_u64, DAY).await;
    assert_eq!(booked(&bench, "done", 1).await.unwrap(), Outcome::Replayed(7));

    recorded(&bench, "over", &7_u64, Duration::from_micros(1)).await;
    assert_eq!(booked(&bench, "over", 1).await.unwrap(), Outcome::Executed(1));

    let (running, failed, orphaned, parked) = (key("running"), key("failed"), key("orphaned"), key("parked"));
    for (key, how) in [
        (&running, None),
        (&failed, Some(Leave::Failed)),
        (&orphaned, Some(Leave::OutcomeUnknown)),
        (&parked, Some(Leave::OutcomeUnknown)),
    ] {
        let mut request = ClaimRequest::new(BOOK, key, Owner::random(), LEASE);
        if key == &parked {
            (request.orphans, request.retain) = (Orphans::Refuse, None);
        }
        let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("{key} is taken") };
        if let Some(how) = how {
            store.release(ReleaseRequest::new(&request, grant.fence, how)).await.unwrap();
        }
    }
    let error = booked(&bench, "running", 1).await.unwrap_err().refusal();
    let left = error.retry_after().expect("a live lease");
    assert!(left > LEASE / 2 && left <= LEASE, "{left:?}");
    assert_eq!(booked(&bench, "failed", 1).await.unwrap(), Outcome::Executed(1));
    assert_eq!(booked(&bench, "orphaned", 1).await.unwrap(), Outcome::Executed(1));
    let error = booked(&bench, "parked", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    store.admin().unwrap().resolve(BOOK, &parked, Resolution::NotExecuted).await.unwrap();
    assert_eq!(booked(&bench, "parked", 1).await.unwrap(), Outcome::Executed(1));

    let entries = store.admin().unwrap().list(Filter::all().scope(BOOK)).await.unwrap();
    let attempts = entries.iter().map(|entry| (entry.key.to_string(), entry.row.state, entry.row.attempt));
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [
            ("done".to_owned(), State::Done, 1),
            ("failed".to_owned(), State::Done, 2),
            ("orphaned".to_owned(), State::Done, 2),
            ("over".to_owned(), State::Done, 1),
            ("parked".to_owned(), State::Done, 2),
            ("running".to_owned(), State::Running, 1),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn what_tx_mode_knows_of_a_key_holds_in_lease_mode() {
    let bench = Bench::new().await;
    booked(&bench, "a", 7).await.unwrap();
    let store = bench.store().await;
    let key = key("a");
    let request = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let ClaimAnswer::Completed(record) = store.claim(request).await.unwrap() else { panic!("it is completed") };

    let admin = store.admin().unwrap();
    let (entry, kept) = admin.get(BOOK, &key).await.unwrap().expect("it is there");
    assert_eq!((entry.row.state, kept.as_ref()), (State::Done, Some(&record)));
    assert_eq!(admin.stats().await.unwrap().completed, 1);

    // The fence of the row grows, whoever has it.
    admin.forget(BOOK, &key).await.unwrap();
    assert_eq!(booked(&bench, "a", 8).await.unwrap(), Outcome::Executed(8));
    let (again, _) = admin.get(BOOK, &key).await.unwrap().expect("it is there");
    assert!(again.row.fence > entry.row.fence + 1, "{} after {}", again.row.fence, entry.row.fence);
    assert!(again.row.ended.iter().any(|owner| owner == entry.row.owner), "whoever left is remembered");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_claim_of_lease_mode_waits_for_no_uncommitted_one_to_run_beside_it() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    let mut tx = bench.begin().await;
    book(&mut tx, "a", 7).await.unwrap();
    let key = key("a");
    let request = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let claim = store.claim(request);
    let commit = async {
        bench.someone_waits().await;
        tx.commit().await.unwrap();
    };
    let (claim, ()) = tokio::join!(claim, commit);
    // It waited, or gave up: in no case it was granted.
    match claim {
        Ok(answer) => assert!(matches!(answer, ClaimAnswer::Completed(_)), "{answer:?}"),
        Err(error) => assert!(error.is_unanswered(), "{error}"),
    }
}
