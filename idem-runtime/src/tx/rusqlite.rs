//! rusqlite's transactions.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Savepoint, params_from_iter};

use super::ended::lost;
use super::{BlockingTransaction, ColumnKind, Commit, Database, Failure, Param, Statement, Value};
use crate::error::Error;

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Integer(number) => ValueRef::Integer(number),
        }))
    }
}

fn failed(error: rusqlite::Error) -> Failure {
    match error.sqlite_error() {
        Some(code) => Failure::answered(Database::Sqlite, &code.extended_code.to_string(), error),
        None => Failure::unanswered(error),
    }
}

fn query(connection: &Connection, statement: Statement<'_>) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut prepared = connection.prepare_cached(statement.sql)?;
    let mut rows = prepared.query(params_from_iter(statement.params))?;
    let answer = match rows.next()? {
        None => return Ok(None),
        Some(row) => statement.columns.iter().enumerate().map(|(nth, column)| {
            Ok(match column.kind {
                ColumnKind::Integer => Value::Integer(row.get(nth)?),
                ColumnKind::Bytes => Value::Bytes(row.get(nth)?),
            })
        }),
    };
    let answer: Vec<Value> = answer.collect::<rusqlite::Result<_>>()?;
    // Reads all rows: only then has a statement that writes ended.
    while rows.next()?.is_some() {}
    Ok(Some(answer))
}

macro_rules! derefs_to_a_connection {
    ($($handle:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl BlockingTransaction for $handle {
            fn database(&self) -> Database {
                Database::Sqlite
            }

            fn is_in_transaction(&mut self) -> bool {
                !self.is_autocommit()
            }

            fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
                query(self, statement).map_err(failed)
            }

            fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
                let executed = self.prepare_cached(statement.sql).and_then(|mut prepared| {
                    prepared.execute(params_from_iter(statement.params))
                });
                executed.map(|rows| u64::try_from(rows).unwrap_or(u64::MAX)).map_err(failed)
            }
        }
    )* };
}

derefs_to_a_connection! {
    rusqlite::Transaction<'_>,
    &rusqlite::Transaction<'_>,
    Savepoint<'_>,
    &Savepoint<'_>,
    Connection,
    &Connection
}

#[diagnostic::do_not_recommend]
impl Commit for rusqlite::Transaction<'_> {
    type Committed = Result<(), Error>;

    fn commit(self) -> Result<(), Error> {
        if self.is_autocommit() {
            return Err(lost(Database::Sqlite, None));
        }
        rusqlite::Transaction::commit(self).map_err(|error| failed(error).at_commit())
    }
}
