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
    "SET LOCAL lock_timeout = 0;SELECT pg_advisory_xact_lock(hashtext('idem_keys'), hashtext('schema'));";

/// Finds whether the table exists, its version table, and the tables of an earlier version. The table comes first: if
/// another process creates the two meanwhile, the version table isn't found missing beside it.
const FIND: &str = "\
    SELECT to_regclass('\"idem_keys\"') IS NOT NULL, to_regclass('\"idem_keys_schema\"') IS NOT NULL,
        to_regclass('idempotency_schema') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute
            WHERE attrelid = to_regclass('idempotency') AND attname = 'purge_at' AND NOT attisdropped)";

/// Finds the table's schema, and whether the view exists there.
const FIND_VIEW: &str = "\
    SELECT quote_ident(nspname), to_regclass(quote_ident(nspname) || '.\"idem_keys_stuck\"') IS NOT NULL
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = to_regclass('\"idem_keys\"')";

/// Renames the tables of an earlier version. The store then creates the view.
const RENAME: &str = "\
    BEGIN; DROP VIEW IF EXISTS idempotency_stuck; ALTER TABLE idempotency RENAME TO \"idem_keys\"; \
    ALTER INDEX idempotency_purge_at RENAME TO \"idem_keys_purge_at\"; \
    ALTER TABLE idempotency_schema RENAME TO \"idem_keys_schema\"; COMMIT;";

/// Creates the tables and the view if they are missing.
pub(super) async fn create(session: &Session) -> Result<(), Error> {
    create_tables(session).await?;
    create_view(session).await.unwrap_or_else(|failure| failure.warn_of_no_view::<Postgres>(&session.table));
    Ok(())
}

async fn create_tables(session: &Session) -> Result<(), Error> {
    // If the tables exist, the user needs no right to create them.
    match look(session).await {
        Ok(Some(_)) => return Ok(()),
        Err(failure) if !failure.may_lack_table::<Postgres>() => return Err(unread(session, failure)),
        Ok(None) | Err(_) => {}
    }
    refuse_others_tables(session).await?;
    let created = execute(session, session.table.named(&format!("{ONE_AT_A_TIME}\n{SCHEMA}"))).await;
    created.map_err(|failure| failure.into_refusal::<Postgres>("its tables could not be created"))
}

/// Creates the view in the table's schema, which may not be the first of the `search_path`.
async fn create_view(session: &Session) -> Result<(), Failure> {
    let found: Vec<PgRow> = session.fetch(&session.table.named(FIND_VIEW).into(), &[]).await?;
    let Some(found) = found.first() else { return Ok(()) };
    let (schema, is_there): (String, bool) = (found.try_get(0)?, found.try_get(1)?);
    if is_there {
        return Ok(());
    }
    let [before, view] = [ONE_AT_A_TIME, VIEW].map(|text| session.table.named(text));
    execute(session, format!("{before}SET LOCAL search_path = {schema};\n{view}")).await
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
    let looked = look(session).await;
    if looked.as_ref().is_err_and(Failure::may_lack_table::<Postgres>) {
        refuse_others_tables(session).await?;
    }
    match looked.map_err(|failure| unread(session, failure))? {
        Some(VERSION) => Ok(()),
        Some(version) => Err(Error::config(format!(
            "the PostgreSQL database has tables of version {version}, and this program knows version {VERSION}: update \
             the program"
        ))),
        None => Err(Error::config(format!(
            "the PostgreSQL database's table `{}_schema` is empty: run schema.sql again, or `PostgresStore::migrate`",
            session.table
        ))),
    }
}

/// Reads the version of the tables; `None` if the row with the version is missing. Fails if a table is missing, or a
/// column of a table of this version.
async fn look(session: &Session) -> Result<Option<i64>, Failure> {
    let sql = session.table.named("SELECT version::bigint FROM \"idem_keys_schema\" WHERE id = 1").into();
    let rows: Vec<PgRow> = session.fetch(&sql, &[]).await?;
    let version = rows.first().map(|row| row.try_get(0)).transpose()?;
    if version == Some(VERSION) {
        session.fetch(&statements::nothing(&session.table), &[]).await?;
    }
    Ok(version)
}

/// Called where tables are missing. Refuses a table of this name that is someone else's, and tables that still have the
/// name of an earlier version.
async fn refuse_others_tables(session: &Session) -> Result<(), Error> {
    let table = &session.table;
    let unread = |failure| unread(session, failure);
    let found: Vec<PgRow> = session.fetch(&table.named(FIND).into(), &[]).await.map_err(unread)?;
    let is = |nth: usize| found.first().is_some_and(|row| row.try_get(nth).unwrap_or(false));
    let (is_there, has_version, former) = (is(0), is(1), is(2));
    if is_there && !has_version {
        return Err(Failure::unusable::<Postgres>(&table.is_foreign()));
    }
    if is_there {
        session.fetch(&statements::nothing(table), &[]).await.map_err(unread)?;
    } else if former && !table.is_former() {
        return Err(Failure::unusable::<Postgres>(&table.has_other_name(RENAME)));
    }
    Ok(())
}

fn unread(session: &Session, failure: Failure) -> Error {
    let what = if failure.is_said_by(Postgres::lacks_column) {
        session.table.is_foreign()
    } else {
        "its tables could not be read".to_owned()
    };
    failure.into_refusal::<Postgres>(&what)
}
