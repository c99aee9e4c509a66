//! Creating the tables, and checking their version.

use sqlx::Row as _;

use super::dialect::MySql;
use super::rows::columns;
use super::session::Session;
use crate::error::Error;
use crate::store::sql::Failure;

/// The statements that create the tables. An operator can read and run them too.
const SCHEMA: &str = include_str!("schema.sql");
/// The statement that creates the view.
const VIEW: &str = include_str!("stuck.sql");
/// Finds whether the view exists. The server shows only views that the user has a right to.
const FIND_VIEW: &str = "\
    SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'idempotency_stuck';";
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
    create_view(session).await.unwrap_or_else(Failure::warn_of_no_view::<MySql>);
    Ok(())
}

async fn create_tables(session: &Session) -> Result<(), Error> {
    // If the tables exist, the user needs no right to create them.
    match look(session).await {
        Ok((Some(_), _)) => return Ok(()),
        Err(failure) if !failure.may_lack_table::<MySql>() => return Err(unread(failure)),
        Ok((None, _)) | Err(_) => {}
    }
    let mut script = session.single();
    script.sql.push_str(SCHEMA);
    let created = session.execute(script).await;
    created.map(drop).map_err(|failure| failure.into_refusal::<MySql>("its tables could not be created"))
}

async fn create_view(session: &Session) -> Result<(), Failure> {
    let mut script = session.single();
    script.sql.push_str(FIND_VIEW);
    let found = session.fetch(script).await?;
    let views: i64 = found.first().map_or(Ok(0), |row| row.try_get(0))?;
    if views > 0 {
        return Ok(());
    }
    let mut script = session.single();
    script.sql.push_str(VIEW);
    session.execute(script).await.map(drop)
}

/// Refuses tables of another version.
pub(super) async fn check(session: &Session) -> Result<Limits, Error> {
    match look(session).await.map_err(unread)? {
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
        (None, _) => Err(Error::config(
            "the MySQL database's table `idempotency_schema` is empty: run schema.sql again, or `MySqlStore::migrate`",
        )),
    }
}

/// Reads the version of the tables; `None` if the row with the version is missing. Fails if a table or a column is
/// missing.
async fn look(session: &Session) -> Result<(Option<i64>, Limits), Failure> {
    let mut script = session.single();
    script.sql.push_str(concat!(
        "SELECT @@max_allowed_packet, CAST(@@log_bin AND @@sync_binlog = 1 AS SIGNED);SELECT version FROM idempotency_schema WHERE id = 1;SELECT ",
        columns!(),
        ", record FROM idempotency LIMIT 0;"
    ));
    let rows = session.fetch(script).await?;
    let Some(limits) = rows.first() else { return Err(Failure::Unexpected("the server doesn't return its limits")) };
    let packet: u64 = limits.try_get(0)?;
    let syncs_first: i64 = limits.try_get(1)?;
    let version = rows.get(1).map(|row| row.try_get(0)).transpose()?;
    let packet = usize::try_from(packet).unwrap_or(usize::MAX);
    Ok((version, Limits { packet, syncs_first: syncs_first == 1 }))
}

fn unread(failure: Failure) -> Error {
    failure.into_refusal::<MySql>("its tables could not be read")
}
