//! Creating the tables, and checking their version.

use sqlx::postgres::PgRow;
use sqlx::{Executor as _, Row as _};

use super::Postgres;
use super::session::Session;
use super::statements;
use crate::error::Error;
use crate::store::sql::Failure;

/// The statements that create the tables. An operator can read and run them too.
pub(super) const SCHEMA: &str = include_str!("schema.sql");
/// The statement that creates the view.
const VIEW: &str = include_str!("stuck.sql");
/// The version of the tables that this code reads and writes.
const VERSION: i64 = 1;

/// Begins the transaction that creates the tables. CREATE TABLE IF NOT EXISTS fails if two processes run it at once, so
/// one waits here for the other.
const ONE_AT_A_TIME: &str =
    "SET LOCAL lock_timeout = 0;SELECT pg_advisory_xact_lock(hashtext('idempotency'), hashtext('schema'));";

/// Finds the table's schema, and whether the view exists there.
const FIND_VIEW: &str = "\
    SELECT quote_ident(nspname), to_regclass(quote_ident(nspname) || '.idempotency_stuck') IS NOT NULL
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass('idempotency')";

/// Creates the tables and the view if they are missing.
pub(super) async fn create(session: &Session) -> Result<(), Error> {
    create_tables(session).await?;
    create_view(session).await.unwrap_or_else(Failure::warn_of_no_view::<Postgres>);
    Ok(())
}

async fn create_tables(session: &Session) -> Result<(), Error> {
    // If the tables exist, the user needs no right to create them.
    match look(session).await {
        Ok(Some(_)) => return Ok(()),
        Err(failure) if !failure.may_lack_table::<Postgres>() => return Err(unread(failure)),
        Ok(None) | Err(_) => {}
    }
    let created = execute(session, format!("{ONE_AT_A_TIME}\n{SCHEMA}")).await;
    created.map_err(|failure| failure.into_refusal::<Postgres>("its tables could not be created"))
}

/// Creates the view in the table's schema, which may not be the first of the `search_path`.
async fn create_view(session: &Session) -> Result<(), Failure> {
    let found: Vec<PgRow> = session.fetch(&FIND_VIEW.into(), &[]).await?;
    let Some(found) = found.first() else { return Ok(()) };
    let (schema, is_there): (String, bool) = (found.try_get(0)?, found.try_get(1)?);
    if is_there {
        return Ok(());
    }
    execute(session, format!("{ONE_AT_A_TIME}SET LOCAL search_path = {schema};\n{VIEW}")).await
}

/// Carries out statements in one transaction. They are sent together.
async fn execute(session: &Session, statements: String) -> Result<(), Failure> {
    let mut connected = session.connections.connect().await?;
    connected.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statements))).await?;
    session.connections.put_back(connected);
    Ok(())
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

/// Reads the version of the tables; `None` if the row with the version is missing. Fails if a table is missing, or a
/// column of a table of this version.
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
