//! Creating the tables, and checking that they are ours.

use sqlx::postgres::PgRow;
use sqlx::{Executor as _, Row as _};

use super::Postgres;
use super::session::Session;
use crate::error::Error;
use crate::store::sql::Failure;

/// The tables, for an operator to read and run.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// The version of the tables that this code reads and writes.
const VERSION: i64 = 1;

/// Of the statement that creates the tables, in one transaction: CREATE TABLE IF NOT EXISTS fails where two do it at
/// once, so that one waits for the other here.
const ONE_AT_A_TIME: &str =
    "SET LOCAL lock_timeout = 0;SELECT pg_advisory_xact_lock(hashtext('idempotency'), hashtext('schema'));";

/// Creates the tables where they are missing.
pub(super) async fn create(session: &Session) -> Result<(), Error> {
    // Who may not create tables needn't, where they are there.
    match version(session).await {
        Ok(_) => return Ok(()),
        Err(failure) if !failure.is_definite() => return Err(failed("it can't be reached", failure)),
        Err(_) => {}
    }
    let created = async {
        let mut connected = session.connections.connect().await?;
        // Statements that are sent together are one transaction.
        (*connected).execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{ONE_AT_A_TIME}\n{SCHEMA}")))).await?;
        session.connections.put_back(connected);
        Ok(())
    };
    created.await.map_err(|failure: Failure| failed("its tables could not be created", failure))
}

/// Refuses tables of another version.
pub(super) async fn check(session: &Session) -> Result<(), Error> {
    match version(session).await.map_err(|failure| failed("its tables could not be read", failure))? {
        Some(VERSION) => Ok(()),
        Some(version) => Err(Error::config(format!(
            "the PostgreSQL database has tables of version {version}, and this program knows version {VERSION}: update \
             the program"
        ))),
        None => Err(Error::config(
            "the PostgreSQL database's table `idempotency_schema` is empty: run schema.sql again, or \
             `PostgresStore::migrate`",
        )),
    }
}

async fn version(session: &Session) -> Result<Option<i64>, Failure> {
    let sql = "SELECT version::bigint FROM idempotency_schema WHERE id = 1".into();
    let rows: Vec<PgRow> = session.fetch(&sql, &[]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

fn failed(what: &str, failure: Failure) -> Error {
    Error::Config {
        message: format!("the PostgreSQL database can't be used as a store: {what}"),
        source: Some(failure.into_error::<Postgres>()),
    }
}
