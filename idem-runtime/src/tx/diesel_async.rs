//! diesel-async's connections to PostgreSQL, in a transaction.
//!
//! diesel tells the kind of an error and its message, and no SQLSTATE. Of the errors of a conflict, only a
//! serialization failure has a kind of its own.

use std::io::Write as _;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::row::Row;
use diesel::serialize::{IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Untyped};
use diesel_async::{AnsiTransactionManager, AsyncConnectionCore, AsyncPgConnection, TransactionManager as _};
use futures_util::TryStreamExt as _;

use super::{Column, ColumnKind, Database, Failure, Param, Statement, Transaction, Value};

/// A statement, as diesel takes it. It is kept prepared: `diesel::sql_query` would prepare it for each use.
struct Sql<'a>(Statement<'a>);

impl QueryFragment<Pg> for Sql<'_> {
    /// diesel numbers the parameters itself. So a parameter that stands twice in the text is sent twice.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Statement { sql, params, .. } = self.0;
        let mut parts = sql.split('$');
        out.push_sql(parts.next().unwrap_or_default());
        for part in parts {
            let (number, text) = part.split_at(part.bytes().take_while(u8::is_ascii_digit).count());
            let nth: usize = number.parse().unwrap_or_default();
            match params.get(nth.wrapping_sub(1)) {
                Some(param @ Param::Text(_)) => out.push_bind_param::<Text, _>(param)?,
                Some(param @ Param::Bytes(_)) => out.push_bind_param::<Binary, _>(param)?,
                Some(param @ Param::Integer(_)) => out.push_bind_param::<BigInt, _>(param)?,
                None => return Err(Error::QueryBuilderError(format!("no parameter ${number}").into())),
            }
            out.push_sql(text);
        }
        Ok(())
    }
}

impl QueryId for Sql<'_> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Sql<'_> {
    type SqlType = Untyped;
}

macro_rules! bind {
    ($($sql_type:ty),*) => { $(
        impl ToSql<$sql_type, Pg> for Param<'_> {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
                match self {
                    Self::Text(text) => out.write_all(text.as_bytes())?,
                    Self::Bytes(bytes) => out.write_all(bytes)?,
                    Self::Integer(number) => out.write_all(&number.to_be_bytes())?,
                }
                Ok(IsNull::No)
            }
        }
    )* };
}

bind!(Text, Binary, BigInt);

fn failed(error: Error) -> Failure {
    match error {
        Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection, _) => {
            Failure::unanswered(error)
        }
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => {
            Failure::answered(Database::Postgres, "40001", error)
        }
        Error::DatabaseError(..) => Failure::answered(Database::Postgres, "", error),
        error => Failure::unanswered(error),
    }
}

fn value<'r>(row: &impl Row<'r, Pg>, column: &Column) -> diesel::deserialize::Result<Value> {
    Ok(match column.kind {
        ColumnKind::Integer => Value::Integer(row.get_value::<Nullable<BigInt>, _, _>(column.name)?),
        ColumnKind::Bytes => Value::Bytes(row.get_value::<Nullable<Binary>, _, _>(column.name)?),
    })
}

#[diagnostic::do_not_recommend]
impl Transaction for AsyncPgConnection {
    fn database(&self) -> Database {
        Database::Postgres
    }

    fn is_in_transaction(&mut self) -> bool {
        let state = AnsiTransactionManager::transaction_manager_status_mut(self).transaction_state();
        state.is_ok_and(|state| state.transaction_depth().is_some())
    }

    async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
        #[cfg(feature = "postgres")]
        super::warn_behind_pooler(Database::Postgres);
        let rows = AsyncConnectionCore::load(self, Sql(statement)).await.map_err(failed)?;
        let rows: Vec<_> = rows.try_collect().await.map_err(failed)?;
        let Some(row) = rows.first() else { return Ok(None) };
        let values = statement.columns.iter().map(|column| value(row, column));
        values.collect::<Result<_, _>>().map(Some).map_err(Failure::unanswered)
    }

    async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
        let rows = self.execute_returning_count(Sql(statement)).await.map_err(failed)?;
        Ok(u64::try_from(rows).unwrap_or(u64::MAX))
    }
}
