//! Sync handlers, with rusqlite's transactions.

use std::sync::atomic::{AtomicU32, Ordering};

use idem_runtime::tx::{Database, commit, schema};
use idem_runtime::{Error, Outcome, idempotent, run_once};
use idem_tests::statements;
use rusqlite::{Connection, Savepoint, Transaction, TransactionBehavior};

#[derive(Debug)]
enum Failed {
    Declined,
    Refused(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl Failed {
    fn refusal(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Declined => panic!("the handler's own error"),
        }
    }
}

/// A file with the tables, and a connection to it.
fn bench() -> (tempfile::TempDir, Connection) {
    let home = tempfile::tempdir().unwrap();
    let connection = open(&home);
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(schema(Database::Sqlite)).unwrap();
    connection.execute_batch("CREATE TABLE effects (id TEXT NOT NULL)").unwrap();
    (home, connection)
}

fn open(home: &tempfile::TempDir) -> Connection {
    Connection::open(home.path().join("ledger.db")).unwrap()
}

fn effect(connection: &Connection, id: &str) {
    connection.execute("INSERT INTO effects (id) VALUES (?1)", [id]).unwrap();
}

fn effects(connection: &Connection, id: &str) -> i64 {
    connection.query_row("SELECT count(*) FROM effects WHERE id = ?1", [id], |row| row.get(0)).unwrap()
}

fn immediate(connection: &mut Connection) -> Transaction<'_> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap()
}

#[idempotent(key = "id", tx = "tx")]
fn book(tx: &Transaction<'_>, id: &str, amount: u64) -> Result<Outcome<u64>, Failed> {
    effect(tx, id);
    if amount == 0 {
        return Err(Failed::Declined);
    }
    Ok(amount.into())
}

#[test]
fn r22_what_is_committed_is_replayed_and_what_is_rolled_back_never_was() {
    let (_home, mut connection) = bench();
    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 1).unwrap(), Outcome::Executed(1));
    tx.rollback().unwrap();
    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 2).unwrap(), Outcome::Executed(2));
    assert_eq!(book(&tx, "a", 3).unwrap(), Outcome::Replayed(2), "in the same transaction");
    tx.commit().unwrap();
    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 4).unwrap(), Outcome::Replayed(2));
    // R24
    effect(&tx, "after");
    tx.commit().unwrap();
    assert_eq!((effects(&connection, "a"), effects(&connection, "after")), (1, 1));
}

#[test]
fn r23_a_second_process_waits_and_then_replays() {
    let (home, mut connection) = bench();
    let tx = immediate(&mut connection);
    book(&tx, "a", 1).unwrap();
    let second = std::thread::spawn(move || {
        let mut connection = open(&home);
        let tx = immediate(&mut connection);
        let outcome = book(&tx, "a", 2).unwrap();
        tx.commit().unwrap();
        (outcome, effects(&connection, "a"))
    });
    tx.commit().unwrap();
    assert_eq!(second.join().unwrap(), (Outcome::Replayed(1), 1));
}

#[test]
fn r25_an_err_leaves_no_claim_behind_even_if_the_caller_commits() {
    let (_home, mut connection) = bench();
    let tx = immediate(&mut connection);
    assert!(matches!(book(&tx, "a", 0), Err(Failed::Declined)));
    tx.commit().unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM idem_keys", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 1).unwrap(), Outcome::Executed(1));
}

#[test]
fn a_block_records_in_a_transaction_and_in_a_savepoint() {
    let (_home, mut connection) = bench();
    let mut tx = immediate(&mut connection);
    for (amount, expected) in [(1, Outcome::Executed(1)), (2, Outcome::Replayed(1))] {
        let booked = run_once!(tx = &tx, key = 1, scope = "blocking/tx", || -> Result<Outcome<u64>, Failed> {
            effect(&tx, "a");
            Ok(amount.into())
        });
        assert_eq!(booked.unwrap(), expected);
    }
    let savepoint = tx.savepoint().unwrap();
    let moved = vec![1_u8];
    let booked: Result<_, Failed> =
        run_once!(tx = &savepoint, key = 1, scope = "blocking/savepoint", move || Ok(Outcome::Executed(moved)));
    assert_eq!(booked.unwrap().into_inner(), [1]);
    savepoint.commit().unwrap();
    tx.commit().unwrap();
    assert_eq!(effects(&connection, "a"), 1);
}

#[idempotent(key = "id", tx = "tx")]
fn unwind(tx: &mut Transaction<'_>, id: &str, panics: bool) -> Result<Outcome<()>, Failed> {
    assert!(!panics, "as it was told");
    effect(tx, id);
    Ok(().into())
}

#[test]
fn r25_a_message_whose_handler_unwound_and_committed_is_not_lost() {
    let (_home, mut connection) = bench();
    let mut tx = immediate(&mut connection);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unwind(&mut tx, "a", true)));
    assert!(unwound.is_err());
    tx.commit().unwrap();
    let mut tx = immediate(&mut connection);
    assert_eq!(unwind(&mut tx, "a", false).unwrap(), Outcome::Executed(()));
    tx.commit().unwrap();
    assert_eq!(effects(&connection, "a"), 1);
}

#[idempotent(key = "id", tx = "connection")]
fn book_on_connection(connection: &Connection, id: &str, ends: &str) -> Result<Outcome<()>, Failed> {
    effect(connection, id);
    connection.execute_batch(ends).unwrap();
    Ok(().into())
}

#[test]
fn r22_a_connection_outside_of_a_transaction_is_refused() {
    let (_home, connection) = bench();
    let refused = book_on_connection(&connection, "a", "").unwrap_err().refusal();
    assert!(matches!(refused, Error::NotInTransaction { .. }), "{refused}");
    // rusqlite asks SQLite whether there is a transaction, so it knows of one that was begun by its text.
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(book_on_connection(&connection, "a", "").unwrap(), Outcome::Executed(()));
    connection.execute_batch("COMMIT").unwrap();
    assert_eq!(effects(&connection, "a"), 1);
}

#[test]
fn r22_a_body_that_ends_the_transaction_is_not_recorded() {
    for (end, is_lost) in [("COMMIT", true), ("ROLLBACK", true), ("ROLLBACK; BEGIN IMMEDIATE", false)] {
        let (_home, connection) = bench();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = book_on_connection(&connection, "a", end).unwrap_err().refusal();
        assert_eq!(matches!(error, Error::TransactionLost { .. }), is_lost, "{end}: {error:?}");
        assert_eq!(matches!(error, Error::NotRecorded { .. }), !is_lost, "{end}: {error:?}");
        assert!(error.to_string().contains("COMMIT and ROLLBACK are the caller's"), "{error}");
    }
}

/// A body that passes over an error with which SQLite rolled the transaction back, and writes again.
#[idempotent(key = "id", tx = "tx")]
fn persist(tx: &Transaction<'_>, id: &str) -> Result<Outcome<()>, Failed> {
    effect(tx, id);
    tx.execute_batch(UNDONE).unwrap_err();
    effect(tx, "after");
    Ok(().into())
}

/// A statement that fails, and with which SQLite rolls the whole transaction back.
const UNDONE: &str = "INSERT OR ROLLBACK INTO effects (id) VALUES (NULL)";

#[test]
fn r22_a_body_that_goes_on_where_its_transaction_is_gone_is_told_that_a_part_may_be_committed() {
    let (_home, mut connection) = bench();
    let tx = immediate(&mut connection);
    let error = persist(&tx, "a").unwrap_err().refusal();
    assert!(matches!(error, Error::TransactionLost { key: Some(_), .. }) && error.executed(), "{error:?}");
    let error = commit(tx).unwrap_err();
    assert!(matches!(error, Error::TransactionLost { key: None, .. }) && !error.is_retryable(), "{error:?}");
    assert_eq!((effects(&connection, "a"), effects(&connection, "after")), (0, 1));
}

#[test]
fn r22_a_commit_is_recorded_or_says_why_not() {
    let (home, mut connection) = bench();
    let children = "CREATE TABLE parents (id INTEGER PRIMARY KEY); \
                    CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)";
    connection.execute_batch(children).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();

    let tx = immediate(&mut connection);
    book(&tx, "a", 1).unwrap();
    tx.execute_batch("INSERT INTO children VALUES (7)").unwrap();
    let error = commit(tx).unwrap_err();
    assert!(matches!(error, Error::Conflict { key: None, .. }) && error.executed(), "{error:?}");

    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 2).unwrap(), Outcome::Executed(2));
    tx.execute_batch(UNDONE).unwrap_err();
    let error = commit(tx).unwrap_err();
    assert!(matches!(error, Error::TransactionLost { key: None, .. }) && error.executed(), "{error:?}");

    // Without a write-ahead log, a commit has to wait for readers.
    connection.pragma_update(None, "journal_mode", "delete").unwrap();
    let other = open(&home);
    other.execute_batch("BEGIN; SELECT count(*) FROM effects").unwrap();
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 3).unwrap(), Outcome::Executed(3));
    let error = commit(tx).unwrap_err();
    assert!(matches!(error, Error::Conflict { key: None, .. }) && error.is_retryable(), "{error:?}");
    other.execute_batch("ROLLBACK").unwrap();

    for expected in [Outcome::Executed(4), Outcome::Replayed(4)] {
        let tx = immediate(&mut connection);
        assert_eq!(book(&tx, "a", 4).unwrap(), expected);
        commit(tx).unwrap();
    }
    assert_eq!(effects(&connection, "a"), 1);
}

#[idempotent(key = "id", tx = "savepoint")]
fn book_in_savepoint(savepoint: &Savepoint<'_>, id: &str) -> Result<Outcome<()>, Failed> {
    effect(savepoint, id);
    Ok(().into())
}

#[test]
fn r22_what_is_rolled_back_to_a_savepoint_never_was() {
    let (_home, mut connection) = bench();
    let mut tx = immediate(&mut connection);
    let savepoint = tx.savepoint().unwrap();
    assert_eq!(book_in_savepoint(&savepoint, "a").unwrap(), Outcome::Executed(()));
    drop(savepoint);
    let mut savepoint = tx.savepoint().unwrap();
    assert_eq!(book_in_savepoint(&savepoint, "a").unwrap(), Outcome::Executed(()));
    savepoint.set_drop_behavior(rusqlite::DropBehavior::Commit);
    drop(savepoint);
    tx.commit().unwrap();
    assert_eq!(effects(&connection, "a"), 1);
}

#[idempotent(key = "id", tx = "tx")]
fn change_what_it_has(tx: &mut Transaction<'_>, mut id: String) -> Result<Outcome<usize>, Failed> {
    tx.set_drop_behavior(rusqlite::DropBehavior::Commit);
    id.push('!');
    effect(tx, &id);
    Ok(id.len().into())
}

#[idempotent(key = "id", tx = "tx")]
fn change_to_another<'t>(mut tx: &'t Transaction<'t>, id: &str, other: &'t Transaction<'t>) -> Result<(), Failed> {
    effect(tx, id);
    tx = other;
    effect(tx, id);
    Ok(())
}

#[test]
fn r01_a_body_may_change_what_it_was_given() {
    let (_home, mut connection) = bench();
    let mut tx = immediate(&mut connection);
    assert_eq!(change_what_it_has(&mut tx, "a".to_owned()).unwrap(), Outcome::Executed(2));
    assert_eq!(change_what_it_has(&mut tx, "a".to_owned()).unwrap(), Outcome::Replayed(2));
    change_to_another(&tx, "b", &tx).unwrap();
    drop(tx);
    assert_eq!((effects(&connection, "a!"), effects(&connection, "b")), (1, 2));
}

#[idempotent(key = "id", tx = "tx")]
async fn book_async(tx: &Transaction<'_>, id: &str) -> Result<Outcome<()>, Failed> {
    tokio::task::yield_now().await;
    effect(tx, id);
    Ok(().into())
}

/// R20: these handlers need no runtime, and block one only while SQLite works.
#[tokio::test(flavor = "current_thread")]
async fn r20_handlers_work_on_a_current_thread_runtime() {
    let (_home, mut connection) = bench();
    let tx = immediate(&mut connection);
    assert_eq!(book(&tx, "a", 1).unwrap(), Outcome::Executed(1));
    assert_eq!(book_async(&tx, "b").await.unwrap(), Outcome::Executed(()));
    assert_eq!(book_async(&tx, "b").await.unwrap(), Outcome::Replayed(()));
}

#[test]
fn r26_sqlite_is_asked_twice_and_a_duplicate_writes_nothing() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let (_home, mut connection) = bench();
    statements::watch(&connection, |sql| {
        if sql.contains("idem_keys") {
            ASKED.fetch_add(1, Ordering::SeqCst);
        }
    });
    let tx = immediate(&mut connection);
    for (outcome, changes) in [(Outcome::Executed(1), 3), (Outcome::Replayed(1), 0)] {
        let before = tx.total_changes();
        assert_eq!(book(&tx, "a", 1).unwrap(), outcome);
        assert_eq!((ASKED.swap(0, Ordering::SeqCst), tx.total_changes() - before), (2, changes));
    }
}
