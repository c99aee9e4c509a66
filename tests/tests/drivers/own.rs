//! A transaction type of a user's own, made with the library's public API only. It keeps its statements prepared.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::BytesMut;
use idem_runtime::Error;
use idem_runtime::tx::{
    ColumnKind, Commit, Committing, Database, Failure, Param, Statement, Transaction, Value, commit,
};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::tokio_postgres::Client as Driven;
use super::{Commits, Driver};

type Prepared = Mutex<HashMap<String, tokio_postgres::Statement>>;

pub(crate) struct Client {
    driven: Driven,
    prepared: Prepared,
}

pub(crate) struct Tx<'t> {
    tx: tokio_postgres::Transaction<'t>,
    prepared: &'t Prepared,
}

impl Tx<'_> {
    async fn prepare(&self, sql: &str) -> Result<tokio_postgres::Statement, tokio_postgres::Error> {
        let known = self.prepared.lock().unwrap().get(sql).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let prepared = self.tx.prepare(sql).await?;
        self.prepared.lock().unwrap().insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }

    async fn query(&self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, tokio_postgres::Error> {
        let prepared = self.prepare(statement.sql).await?;
        let row = self.tx.query_opt(&prepared, &references(&bound(statement.params))).await?;
        Ok(row.map(|row| {
            let values = statement.columns.iter().map(|column| match column.kind {
                ColumnKind::Integer => Value::Integer(row.get(column.name)),
                ColumnKind::Bytes => Value::Bytes(row.get(column.name)),
            });
            values.collect()
        }))
    }

    async fn execute(&self, statement: Statement<'_>) -> Result<u64, tokio_postgres::Error> {
        let prepared = self.prepare(statement.sql).await?;
        self.tx.execute(&prepared, &references(&bound(statement.params))).await
    }
}

/// A parameter whose `Debug` form shows no bytes, like that of [`Param`]: tokio-postgres logs the parameters of prepared statements.
#[derive(Debug)]
struct Bound<'p>(&'p Param<'p>);

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Send + Sync>> {
        match self.0 {
            Param::Text(text) => text.to_sql(ty, out),
            Param::Bytes(bytes) => bytes.to_sql(ty, out),
            Param::Integer(number) => number.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn bound<'p>(params: &'p [Param<'p>]) -> Vec<Bound<'p>> {
    params.iter().map(Bound).collect()
}

fn references<'p>(bound: &'p [Bound<'p>]) -> Vec<&'p (dyn ToSql + Sync)> {
    bound.iter().map(|bound| bound as &(dyn ToSql + Sync)).collect()
}

fn failed(error: tokio_postgres::Error) -> Failure {
    match error.code().map(|code| code.code().to_owned()) {
        Some(sqlstate) => Failure::answered(Database::Postgres, &sqlstate, error),
        None => Failure::unanswered(error),
    }
}

impl Transaction for Tx<'_> {
    fn database(&self) -> Database {
        Database::Postgres
    }

    fn is_in_transaction(&mut self) -> bool {
        true
    }

    async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
        Tx::query(self, statement).await.map_err(failed)
    }

    async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
        Tx::execute(self, statement).await.map_err(failed)
    }
}

impl Transaction for &Tx<'_> {
    fn database(&self) -> Database {
        Database::Postgres
    }

    fn is_in_transaction(&mut self) -> bool {
        true
    }

    async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
        Tx::query(self, statement).await.map_err(failed)
    }

    async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
        Tx::execute(self, statement).await.map_err(failed)
    }
}

impl<'t> Commit for Tx<'t> {
    type Committed = Committing<'t>;

    fn commit(self) -> Committing<'t> {
        Box::pin(async move {
            // The server answers the commit of a failed transaction with a rollback, and the driver's `commit` is then `Ok`. In such
            // a transaction this statement fails.
            self.tx.batch_execute("SELECT 1").await.map_err(|error| failed(error).at_commit())?;
            self.tx.commit().await.map_err(|error| failed(error).at_commit())
        })
    }
}

impl Driver for Client {
    type Tx<'t> = Tx<'t>;
    type Handle<'t> = Tx<'t>;

    async fn connect(url: &str) -> Self {
        Self { driven: Driven::connect(url).await, prepared: Mutex::default() }
    }

    async fn begin(&mut self) -> Tx<'_> {
        Tx { tx: self.driven.begin().await, prepared: &self.prepared }
    }

    async fn begin_strictly(&mut self) -> Tx<'_> {
        Tx { tx: self.driven.begin_strictly().await, prepared: &self.prepared }
    }

    async fn commit(tx: Self::Tx<'_>) {
        Self::try_commit(tx).await.unwrap();
    }

    async fn rollback(tx: Self::Tx<'_>) {
        Driven::rollback(tx.tx).await;
    }

    async fn runs(tx: &mut Self::Handle<'_>, sql: &str) -> bool {
        Driven::runs(&mut tx.tx, sql).await
    }
}

impl Commits for Client {
    async fn try_commit(tx: Self::Tx<'_>) -> Result<(), Error> {
        commit(tx).await
    }
}
