//! The metrics that an operator gets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use idem_runtime::{Error, Outcome, idempotent, tx};
use idem_tests::Failure;
use idem_tests::probe::{Asked, Fault, Probe};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use rusqlite::{Connection, Transaction};

/// Runs this. Returns, for this scope, the number of calls by event, and the number of values in each histogram.
type Counted = (BTreeMap<String, u64>, BTreeMap<String, usize>);

fn counted(scope: &str, calls: impl FnOnce()) -> Counted {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, calls);
    let mut counts = BTreeMap::new();
    let mut timed = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels: BTreeMap<_, _> = key.key().labels().map(|label| (label.key(), label.value())).collect();
        assert_eq!(labels["scope"], scope);
        match value {
            DebugValue::Counter(count) => drop(counts.insert(labels["event"].to_owned(), count)),
            DebugValue::Histogram(values) => drop(timed.insert(key.key().name().to_owned(), values.len())),
            DebugValue::Gauge(_) => panic!("no gauges"),
        }
    }
    (counts, timed)
}

#[idempotent(key = "id", scope = "metrics", fingerprint = "cents", store = store)]
fn handle(store: &Probe, id: u32, cents: u32, fail: bool) -> Result<u32, Failure> {
    if fail { Err(Failure::Declined) } else { Ok(cents) }
}

#[test]
fn calls_are_counted_by_scope_and_by_what_happened() {
    let (counts, timed) = counted("metrics", || {
        let store = Probe::new();
        handle(&store, 1, 5, true).unwrap_err();
        handle(&store, 1, 5, false).unwrap();
        handle(&store, 1, 5, false).unwrap();
        handle(&store, 1, 5, false).unwrap();
        assert!(matches!(handle(&store, 1, 6, false), Err(Failure::Refused(Error::KeyReused { .. }))));
        store.fail(Asked::Claim, Fault::Refused);
        handle(&store, 2, 5, false).unwrap_err();
    });
    let expected =
        [("executed", 1), ("failed", 1), ("redelivered", 1), ("replayed", 2), ("key_reused", 1), ("store_failed", 1)];
    assert_eq!(counts, expected.map(|(event, count)| (event.to_owned(), count)).into());
    assert_eq!(timed["idempotency_handler_seconds"], 2);
    assert!(timed["idempotency_store_seconds"] >= 6);
}

#[idempotent(key = "id", scope = "metrics/skipped", store = store, claim = claim)]
fn skip(store: &Probe, id: u32) -> Result<(), Failure> {
    claim.skip();
    Ok(())
}

#[test]
fn a_body_that_did_nothing_is_counted() {
    let (counts, timed) = counted("metrics/skipped", || {
        let store = Probe::new();
        (0..2).for_each(|_| skip(&store, 1).unwrap());
    });
    assert_eq!(counts, [("executed", 2), ("skipped", 2)].map(|(event, count)| (event.to_owned(), count)).into());
    assert_eq!(timed["idempotency_handler_seconds"], 2);
}

#[idempotent(key = "id", scope = "metrics/tx", tx = "tx")]
fn handle_in(tx: &Transaction<'_>, id: u32, fail: bool) -> Result<u32, Failure> {
    let charged = tx.query_row("SELECT ?1", [id], |row| row.get(0)).unwrap();
    if fail { Err(Failure::Declined) } else { Ok(charged) }
}

#[test]
fn calls_in_a_transaction_are_counted_alike() {
    let (counts, timed) = counted("metrics/tx", || {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(tx::schema(tx::Database::Sqlite)).unwrap();
        for fail in [true, false, false] {
            let tx = connection.transaction().unwrap();
            assert_eq!(handle_in(&tx, 1, fail).is_err(), fail);
            // In tx mode a call that failed leaves no row, so the next call is counted as a first execution.
            tx.commit().unwrap();
        }
    });
    let expected = [("executed", 2), ("failed", 1), ("replayed", 1)];
    assert_eq!(counts, expected.map(|(event, count)| (event.to_owned(), count)).into());
    assert_eq!(timed["idempotency_handler_seconds"], 2);
    assert!(timed["idempotency_store_seconds"] >= 3);
}

/// A metrics recorder that panics once, at the metric of this name.
struct Fragile(&'static str, AtomicBool);

impl Fragile {
    fn told(&self, what: &str) {
        assert!(what != self.0 || self.1.swap(true, Ordering::Relaxed), "the recorder is broken");
    }
}

impl Recorder for Fragile {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        key.labels().for_each(|label| self.told(label.value()));
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.told(key.name());
        Histogram::noop()
    }
}

#[idempotent(key = "id", scope = "metrics/fragile", store = store, on_crash = "park")]
fn handle_parked(store: &Probe, id: u32, fail: bool) -> Result<Outcome<u32>, Failure> {
    if fail { Err(Failure::Declined) } else { Ok(id.into()) }
}

#[test]
fn r13_a_recorder_that_panics_changes_no_outcome() {
    for (nth, what) in
        ["executed", "failed", "idempotency_handler_seconds", "idempotency_store_seconds"].iter().enumerate()
    {
        let (store, id, recorder) = (Probe::new(), nth as u32, Fragile(what, AtomicBool::new(false)));
        metrics::with_local_recorder(&recorder, || {
            assert!(matches!(handle_parked(&store, id, true), Err(Failure::Declined)), "{what}");
            assert!(matches!(handle_parked(&store, id, false), Ok(Outcome::Executed(_))), "{what}");
            assert!(matches!(handle_parked(&store, id, false), Ok(Outcome::Replayed(_))), "{what}");
        });
        assert!(recorder.1.into_inner(), "{what} was told");
    }
}
