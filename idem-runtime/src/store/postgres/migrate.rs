//! Creating the tables, and checking that they are ours.

use sqlx::postgres::PgRow;
use sqlx::{Executor as _, Row as _};

use super::Postgres;
use super::session::Session;
use super::statements;
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
    match look(session).await {
        Ok(Some(_)) => return Ok(()),
        Err(failure) if !failure.may_lack_table::<Postgres>() => return Err(unread(failure)),
        Ok(None) | Err(_) => {}
    }
    let created = async {
        let mut connected = session.connections.connect().await?;
        // Statements that are sent together are one transaction.
        connected.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{ONE_AT_A_TIME}\n{SCHEMA}")))).await?;
        session.connections.put_back(connected);
        Ok(())
    };
    created.await.map_err(|failure: Failure| failure.into_refusal::<Postgres>("its tables could not be created"))
}

/// Refuses tables of another version.
pub(super) async fn check(session: &Session) -> Result<(), Error> {
    match look(session).await.map_err(unread)? {
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

/// The version of the tables, if it was written yet. Fails where a table or, in one of this version, a column is missing.
async fn look(session: &Session) -> Result<Option<i64>, Failure> {
    let sql = "SELECT version::bigint FROM idempotency_schema WHERE id = 1".into();
    let rows: Vec<PgRow> = session.fetch(&sql, &[]).await?;
    let version = rows.first().map(|row| row.try_get(0)).transpose()?;
    if version == Some(VERSION) {
        session.fetch(&statements::NOTHING, &[]).await?;
    }
    Ok(version)
}

fn unread(failure: Failure) -> Error {
    failure.into_refusal::<Postgres>("its tables could not be read")
}
