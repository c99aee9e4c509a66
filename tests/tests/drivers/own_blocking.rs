//! A blocking transaction type of a user's own, for sync and async handlers, as a `&` and as a `&mut` parameter.

use idem_runtime::tx::{BlockingTransaction, ColumnKind, Database, Failure, Param, Statement, Value, schema};
use idem_runtime::{Error, Outcome, idempotent};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

struct Ledger(Connection);

impl Ledger {
    fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema(Database::Sqlite)).unwrap();
        Self(connection)
    }

    fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap();
    }

    fn query(&self, statement: Statement<'_>) -> rusqlite::Result<Option<Vec<Value>>> {
        let params = params_from_iter(statement.params.iter().map(Bound));
        let read = |row: &rusqlite::Row<'_>| {
            let values = statement.columns.iter().map(|column| {
                Ok(match column.kind {
                    ColumnKind::Integer => Value::Integer(row.get(column.name)?),
                    ColumnKind::Bytes => Value::Bytes(row.get(column.name)?),
                })
            });
            values.collect::<rusqlite::Result<_>>()
        };
        self.0.query_row(statement.sql, params, read).optional()
    }
}

struct Bound<'p>(&'p Param<'p>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self.0 {
            Param::Text(text) => ValueRef::Text(text.as_bytes()),
            Param::Bytes(bytes) => ValueRef::Blob(bytes),
            Param::Integer(number) => ValueRef::Integer(number),
        }))
    }
}

fn failed(error: rusqlite::Error) -> Failure {
    match error.sqlite_error() {
        Some(code) => Failure::answered(Database::Sqlite, &code.extended_code.to_string(), error),
        None => Failure::unanswered(error),
    }
}

impl BlockingTransaction for &Ledger {
    fn database(&self) -> Database {
        Database::Sqlite
    }

    fn is_in_transaction(&mut self) -> bool {
        !self.0.is_autocommit()
    }

    fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
        Ledger::query(self, statement).map_err(failed)
    }

    fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
        let params = params_from_iter(statement.params.iter().map(Bound));
        self.0.execute(statement.sql, params).map(|rows| rows as u64).map_err(failed)
    }
}

impl BlockingTransaction for Ledger {
    fn database(&self) -> Database {
        BlockingTransaction::database(&self)
    }

    fn is_in_transaction(&mut self) -> bool {
        BlockingTransaction::is_in_transaction(&mut &*self)
    }

    fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
        BlockingTransaction::query(&mut &*self, statement)
    }

    fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
        BlockingTransaction::execute(&mut &*self, statement)
    }
}

#[idempotent(key = "id", tx = "tx")]
fn book(tx: &Ledger, id: u64, amount: u64) -> Result<Outcome<u64>, Error> {
    let _ = (tx, id);
    Ok(amount.into())
}

#[idempotent(key = "id", tx = "tx")]
fn book_by_mut(tx: &mut Ledger, id: u64, amount: u64) -> Result<Outcome<u64>, Error> {
    let _ = (tx, id);
    Ok(amount.into())
}

#[idempotent(key = "id", tx = "tx")]
async fn book_later(tx: &Ledger, id: u64, amount: u64) -> Result<Outcome<u64>, Error> {
    let _ = (tx, id);
    tokio::task::yield_now().await;
    Ok(amount.into())
}

#[idempotent(key = "id", tx = "tx")]
async fn book_later_by_mut(tx: &mut Ledger, id: u64, amount: u64) -> Result<Outcome<u64>, Error> {
    let _ = (tx, id);
    tokio::task::yield_now().await;
    Ok(amount.into())
}

#[tokio::test]
async fn r22_holds_through_a_transaction_of_ones_own() {
    let mut ledger = Ledger::new();
    assert!(matches!(book(&ledger, 1, 1), Err(Error::NotInTransaction { .. })));
    for (end, first) in
        [("ROLLBACK", Outcome::Executed(1)), ("COMMIT", Outcome::Executed(1)), ("COMMIT", Outcome::Replayed(1))]
    {
        ledger.run("BEGIN");
        assert_eq!(book(&ledger, 1, 1).unwrap(), first);
        assert_eq!(book(&ledger, 1, 2).unwrap(), Outcome::Replayed(1));
        assert_eq!(book_by_mut(&mut ledger, 1, 1).unwrap(), first);
        assert_eq!(book_by_mut(&mut ledger, 1, 2).unwrap(), Outcome::Replayed(1));
        assert_eq!(book_later(&ledger, 1, 1).await.unwrap(), first);
        assert_eq!(book_later(&ledger, 1, 2).await.unwrap(), Outcome::Replayed(1));
        assert_eq!(book_later_by_mut(&mut ledger, 1, 1).await.unwrap(), first);
        assert_eq!(book_later_by_mut(&mut ledger, 1, 2).await.unwrap(), Outcome::Replayed(1));
        ledger.run(end);
    }
}

#[test]
fn a_missing_table_is_said_to_be_missing() {
    let ledger = Ledger(Connection::open_in_memory().unwrap());
    ledger.run("BEGIN");
    let error = book(&ledger, 1, 1).unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
}
