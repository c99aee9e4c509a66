//! Creating the tables, and checking their version.

use sqlx::Row as _;

use super::dialect::MySql;
use super::rows::columns;
use super::session::{Script, Session};
use crate::error::Error;
use crate::store::sql::Failure;

/// The statements that create the tables. An operator can read and run them too.
const SCHEMA: &str = include_str!("schema.sql");
/// The statement that creates the view.
const VIEW: &str = include_str!("stuck.sql");
/// A table's name, as the server compares it with others: bit by bit, or without its case. The catalog always compares
/// without the case.
macro_rules! name {
    () => {
        "CAST(IF(@@lower_case_table_names, LOWER(table_name), table_name) AS BINARY)"
    };
}
/// Finds whether the view exists. The server shows only views that the user has a right to.
const FIND_VIEW: &str = concat!(
    "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND ",
    name!(),
    " = 'idem_keys_stuck';"
);
/// Finds whether the table exists, its version table, and the tables of an earlier version. The server shows only
/// tables that the user has a right to.
const FIND: &str = concat!(
    "SELECT MAX(name = 'idem_keys'), MAX(name = 'idem_keys_schema'), MAX(name = 'idempotency_schema') \
     AND MAX(name = 'idempotency' AND column_name = 'purge_at') FROM (SELECT ",
    name!(),
    " AS name, column_name FROM information_schema.columns WHERE table_schema = DATABASE() \
     AND table_name IN ('idem_keys', 'idem_keys_schema', 'idempotency', 'idempotency_schema')) found;"
);
/// Reads the server's limits, the version of the tables, and no row with all columns. It fails if a column is missing,
/// or the index that a sweep names.
const LOOK: &str = concat!(
    "SELECT @@max_allowed_packet, CAST(@@log_bin AND @@sync_binlog = 1 AS SIGNED);\
     SELECT version FROM `idem_keys_schema` WHERE id = 1;SELECT ",
    columns!(),
    ", record FROM `idem_keys` FORCE INDEX (`idem_keys_purge_at`) LIMIT 0;"
);
/// Reads no row. It fails if a column is missing.
const NOTHING: &str = concat!("SELECT ", columns!(), ", record FROM `idem_keys` LIMIT 0;");
/// Renames the tables of an earlier version. The store then creates the view.
const RENAME: &str = "\
    DROP VIEW IF EXISTS idempotency_stuck; \
    ALTER TABLE idempotency RENAME INDEX idempotency_purge_at TO `idem_keys_purge_at`; \
    RENAME TABLE idempotency TO `idem_keys`, idempotency_schema TO `idem_keys_schema`;";
/// The version of the tables that this code reads and writes.
const VERSION: i64 = 1;

/// Properties of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How many bytes the server accepts in one packet.
    pub(super) packet: usize,
    /// Whether other transactions see a commit only after it is on the server's disk.
    syncs_first: bool,
}

/// Creates the tables and the view if they are missing. Any number of processes may do so at once: each statement waits
/// for those of the others.
pub(super) async fn create(session: &Session) -> Result<(), Error> {
    create_tables(session).await?;
    create_view(session).await.unwrap_or_else(|failure| failure.warn_of_no_view::<MySql>(&session.table));
    Ok(())
}

async fn create_tables(session: &Session) -> Result<(), Error> {
    // If the tables exist, the user needs no right to create them.
    match look(session).await {
        Ok((Some(_), _)) => return Ok(()),
        Err(failure) if !failure.may_lack_table::<MySql>() => return Err(unread(session, failure)),
        Ok((None, _)) | Err(_) => {}
    }
    refuse_others_tables(session).await?;
    let created = session.execute(named(session, SCHEMA)).await;
    created.map(drop).map_err(|failure| failure.into_refusal::<MySql>("its tables could not be created"))
}

async fn create_view(session: &Session) -> Result<(), Failure> {
    let found = session.fetch(named(session, FIND_VIEW)).await?;
    let views: i64 = found.first().map_or(Ok(0), |row| row.try_get(0))?;
    if views > 0 {
        return Ok(());
    }
    session.execute(named(session, VIEW)).await.map(drop)
}

/// A script of statements that are written with the default name.
fn named(session: &Session, sql: &str) -> Script {
    let mut script = session.single();
    script.sql = session.table.named(sql);
    script
}

/// Refuses tables of another version.
pub(super) async fn check(session: &Session) -> Result<Limits, Error> {
    let looked = look(session).await;
    if looked.as_ref().is_err_and(Failure::may_lack_table::<MySql>) {
        refuse_others_tables(session).await?;
    }
    match looked.map_err(|failure| unread(session, failure))? {
        (Some(VERSION), limits) => {
            if !limits.syncs_first {
                tracing::warn!(
                    "the MySQL server shows a commit to other transactions before it is on its disk, so a duplicate can get a \
                     result that is lost if the server dies in that moment: turn on `log_bin`, with `sync_binlog = 1`"
                );
            }
            Ok(limits)
        }
        (Some(version), _) => Err(Error::config(format!(
            "the MySQL database has tables of version {version}, and this program knows version {VERSION}: update the \
             program"
        ))),
        (None, _) => Err(Error::config(format!(
            "the MySQL database's table `{}_schema` is empty: run schema.sql again, or `MySqlStore::migrate`",
            session.table
        ))),
    }
}

/// Reads the version of the tables; `None` if the row with the version is missing. Fails if a table or a column is
/// missing.
async fn look(session: &Session) -> Result<(Option<i64>, Limits), Failure> {
    let rows = session.fetch(named(session, LOOK)).await?;
    let Some(limits) = rows.first() else { return Err(Failure::Unexpected("the server doesn't return its limits")) };
    let packet: u64 = limits.try_get(0)?;
    let syncs_first: i64 = limits.try_get(1)?;
    let version = rows.get(1).map(|row| row.try_get(0)).transpose()?;
    let packet = usize::try_from(packet).unwrap_or(usize::MAX);
    Ok((version, Limits { packet, syncs_first: syncs_first == 1 }))
}

/// Called where tables are missing. Refuses a table of this name that is someone else's, and tables that still have the
/// name of an earlier version.
async fn refuse_others_tables(session: &Session) -> Result<(), Error> {
    let table = &session.table;
    let mut found = find(session).await?;
    if found.is_there && !found.has_version {
        // Another process may just be creating them, the version table first. The server doesn't list both at one time.
        found = find(session).await?;
    }
    if found.is_there && !found.has_version {
        return Err(Failure::unusable::<MySql>(&table.is_foreign()));
    }
    if found.is_there {
        session.fetch(named(session, NOTHING)).await.map_err(|failure| unread(session, failure))?;
    } else if found.former && !table.is_former() {
        return Err(Failure::unusable::<MySql>(&table.has_other_name(RENAME)));
    }
    Ok(())
}

/// Which tables exist.
struct Found {
    is_there: bool,
    has_version: bool,
    /// Those of an earlier version.
    former: bool,
}

async fn find(session: &Session) -> Result<Found, Error> {
    let found = session.fetch(named(session, FIND)).await.map_err(|failure| unread(session, failure))?;
    // Null if none of them exists.
    let is = |nth: usize| found.first().is_some_and(|row| matches!(row.try_get(nth), Ok(Some(1_i64))));
    Ok(Found { is_there: is(0), has_version: is(1), former: is(2) })
}

fn unread(session: &Session, failure: Failure) -> Error {
    let what = if failure.is_said_by(MySql::lacks_column) {
        session.table.is_foreign()
    } else {
        "its tables could not be read".to_owned()
    };
    failure.into_refusal::<MySql>(&what)
}
