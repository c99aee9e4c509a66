//! sea-orm's transactions.

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, RuntimeErr};

use super::ended::{ASK, BEGIN, has_ended, lost};
use super::{ColumnKind, Commit, Committing, Database, Failure, Param, Statement, Transaction, Value};

/// `None` for a database that a later version of sea-orm adds.
fn database(tx: &DatabaseTransaction) -> Option<Database> {
    match tx.get_database_backend() {
        DbBackend::Postgres => Some(Database::Postgres),
        DbBackend::MySql => Some(Database::MySql),
        DbBackend::Sqlite => Some(Database::Sqlite),
        _ => None,
    }
}

fn failed(database: Database, error: DbErr) -> Failure {
    let code = match &error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error().and_then(|error| match database {
                // Its `code` is an SQLSTATE, which is the same for a lock timeout and for most other errors. The number
                // is in a type that exists only if sea-orm is built for MySQL. It is also the first word of the error's
                // text.
                Database::MySql => error.to_string().split(' ').next().map(str::to_owned),
                Database::Postgres | Database::Sqlite => error.code().map(Into::into),
            })
        }
        _ => None,
    };
    match code {
        Some(code) => Failure::answered(database, &code, error),
        None => Failure::unanswered(error),
    }
}

fn built(backend: DbBackend, statement: Statement<'_>) -> sea_orm::Statement {
    let values = statement.params.iter().map(|param| match *param {
        Param::Text(text) => text.into(),
        Param::Bytes(bytes) => bytes.into(),
        Param::Integer(number) => number.into(),
    });
    sea_orm::Statement::from_sql_and_values(backend, statement.sql, values)
}

async fn query(tx: &DatabaseTransaction, statement: Statement<'_>) -> Result<Option<Vec<Value>>, DbErr> {
    let Some(row) = tx.query_one_raw(built(tx.get_database_backend(), statement)).await? else { return Ok(None) };
    let values = statement.columns.iter().enumerate().map(|(nth, column)| {
        Ok(match column.kind {
            ColumnKind::Integer => Value::Integer(row.try_get_by_index(nth)?),
            ColumnKind::Bytes => Value::Bytes(row.try_get_by_index(nth)?),
        })
    });
    values.collect::<Result<_, DbErr>>().map(Some)
}

macro_rules! implement {
    ($($handle:ty),*) => { $(
        #[diagnostic::do_not_recommend]
        impl Transaction for $handle {
            fn database(&self) -> Database {
                database(self).unwrap_or(Database::Postgres)
            }

            /// Its type says that it is in a transaction. For a database that isn't known it says no, so that the call
            /// is refused before any SQL is sent.
            fn is_in_transaction(&mut self) -> bool {
                database(self).is_some()
            }

            async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
                #[cfg(feature = "postgres")]
                super::warn_behind_pooler(Transaction::database(self));
                query(self, statement).await.map_err(|error| failed(Transaction::database(self), error))
            }

            async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
                let executed = self.execute_raw(built(self.get_database_backend(), statement)).await;
                executed.map(|done| done.rows_affected()).map_err(|error| failed(Transaction::database(self), error))
            }
        }
    )* };
}

implement!(DatabaseTransaction, &DatabaseTransaction);

#[diagnostic::do_not_recommend]
impl Commit for DatabaseTransaction {
    type Committed = Committing<'static>;

    fn commit(mut self) -> Committing<'static> {
        Box::pin(async move {
            let database = Transaction::database(&self);
            let failed = |error| failed(database, error).at_commit();
            if database != Database::Sqlite {
                self.execute_unprepared(ASK).await.map_err(failed)?;
            } else if has_ended(&mut self).await {
                let _ = Transaction::execute(&mut self, BEGIN).await;
                let _ = self.rollback().await;
                return Err(lost(database, None));
            }
            self.commit().await.map_err(failed)
        })
    }
}
