//! Tx mode: the events of each way in which a call ends.

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Waker};

use idem_runtime::tx::{Database, schema};
use idem_runtime::{Outcome, idempotent};
use idem_tests::Failure;
use rusqlite::{Connection, Transaction};

use super::told;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Return,
    Skip,
    Fail,
    Panic,
    /// Deletes the row of its own claim.
    Forget,
    /// Ends the transaction.
    Commit,
    /// Waits for ever. Only for async bodies.
    Wait,
}

impl Does {
    fn now(self, tx: &Connection) -> Result<Outcome<u32>, Failure> {
        match self {
            Self::Skip => return Ok(Outcome::Skipped(7)),
            Self::Fail => return Err(Failure::Declined),
            Self::Panic => panic!("as it was told"),
            Self::Forget => tx.execute_batch("DELETE FROM idem_keys").unwrap(),
            Self::Commit => tx.execute_batch("COMMIT").unwrap(),
            Self::Return | Self::Wait => {}
        }
        Ok(7.into())
    }
}

#[idempotent(key = "id", scope = "events/tx/sync", tx = "tx", fingerprint = "cents", missing_key = "run")]
fn book_sync(tx: &Connection, id: &str, cents: u32, does: Does) -> Result<Outcome<u32>, Failure> {
    does.now(tx)
}

#[idempotent(key = "id", scope = "events/tx/async", tx = "tx", fingerprint = "cents", missing_key = "run")]
async fn book_async(tx: &Connection, id: &str, cents: u32, does: Does) -> Result<Outcome<u32>, Failure> {
    if does == Does::Wait {
        pending::<()>().await;
    }
    does.now(tx)
}

type Call = fn(&Connection, &str, u32, Does);

fn call_sync(tx: &Connection, id: &str, cents: u32, does: Does) {
    drop(book_sync(tx, id, cents, does));
}

/// Polls the call once: with SQLite it is then ready, unless its body waits. Such a call is dropped.
fn call_async(tx: &Connection, id: &str, cents: u32, does: Does) {
    let call = pin!(book_async(tx, id, cents, does));
    assert_eq!(call.poll(&mut Context::from_waker(Waker::noop())).is_pending(), does == Does::Wait);
}

/// Runs a test for each kind of handler, with a new database.
fn each(test: impl Fn(Call, &mut Connection)) {
    for call in [call_sync as Call, call_async] {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema(Database::Sqlite)).unwrap();
        test(call, &mut connection);
    }
}

/// The outcome of a call, and the events before its end.
fn outcome(call: Call, tx: &Connection, (id, cents): (&str, u32), does: Does) -> (String, Vec<String>) {
    told(id, || call(tx, id, cents, does))
}

fn expected(outcome: &str, began: &[&str]) -> (String, Vec<String>) {
    (outcome.to_owned(), began.iter().map(|&name| name.to_owned()).collect())
}

fn begin(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction().unwrap()
}

#[test]
fn a_call_that_runs_ends_as_its_body_does_and_a_duplicate_is_replayed() {
    each(|call, connection| {
        let tx = begin(connection);
        let outcome = |cents, does| outcome(call, &tx, ("order-1", cents), does);
        assert_eq!(outcome(5, Does::Fail), expected("failed", &["executed", "failed"]));
        assert_eq!(outcome(5, Does::Skip), expected("skipped", &["executed", "skipped"]));
        assert_eq!(outcome(5, Does::Return), expected("executed", &["executed"]));
        assert_eq!(outcome(5, Does::Return), expected("replayed", &["replayed"]));
        assert_eq!(outcome(6, Does::Return), expected("key_reused", &["key_reused"]));
    });
}

#[test]
fn a_call_without_a_key_ends_as_its_body_does() {
    each(|call, connection| {
        let tx = begin(connection);
        assert_eq!(outcome(call, &tx, ("", 5), Does::Return), expected("executed", &["unprotected"]));
        assert_eq!(outcome(call, &tx, ("", 5), Does::Skip), expected("skipped", &["unprotected", "skipped"]));
        assert_eq!(outcome(call, &tx, ("", 5), Does::Fail), expected("failed", &["unprotected", "failed"]));
    });
}

#[test]
fn a_call_that_panics_or_is_dropped_is_told() {
    each(|call, connection| {
        let tx = begin(connection);
        let panics = || drop(catch_unwind(AssertUnwindSafe(|| call(&tx, "a", 5, Does::Panic))).unwrap_err());
        assert_eq!(told("a", panics), expected("panicked", &["executed"]));
    });
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(schema(Database::Sqlite)).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    assert_eq!(outcome(call_async, &connection, ("a", 5), Does::Wait), expected("dropped", &["executed"]));
}

#[test]
fn each_refusal_is_told_by_its_name() {
    each(|call, connection| {
        let refused = outcome(call, connection, ("a", 5), Does::Return);
        assert_eq!(refused, expected("not_in_transaction", &["refused"]));
        let tx = begin(connection);
        let forgot = outcome(call, &tx, ("a", 5), Does::Forget);
        assert_eq!(forgot, expected("not_recorded", &["executed", "store_failed"]));
        let ended = outcome(call, &tx, ("b", 5), Does::Commit);
        assert_eq!(ended, expected("transaction_lost", &["executed", "store_failed"]));
        drop(tx);
        connection.execute_batch("DROP TABLE idem_keys").unwrap();
        let tx = begin(connection);
        assert_eq!(outcome(call, &tx, ("a", 5), Does::Return), expected("config", &["refused"]));
    });
}

/// Two connections to one file: the second can't write while the first's transaction is open.
#[test]
fn a_conflict_is_told() {
    let home = tempfile::tempdir().unwrap();
    let open = || Connection::open(home.path().join("ledger.db")).unwrap();
    let first = open();
    first.execute_batch(schema(Database::Sqlite)).unwrap();
    first.execute_batch("BEGIN IMMEDIATE").unwrap();
    for call in [call_sync as Call, call_async] {
        let second = open();
        second.busy_timeout(std::time::Duration::ZERO).unwrap();
        second.execute_batch("BEGIN").unwrap();
        assert_eq!(outcome(call, &second, ("a", 5), Does::Return), expected("conflict", &["store_failed"]));
    }
}

/// The event tells of the end of the call. The transaction may be rolled back after it.
#[test]
fn what_is_rolled_back_has_been_told_as_executed() {
    each(|call, connection| {
        for _ in 0..2 {
            let tx = begin(connection);
            assert_eq!(outcome(call, &tx, ("a", 5), Does::Return), expected("executed", &["executed"]));
            tx.rollback().unwrap();
        }
    });
}
