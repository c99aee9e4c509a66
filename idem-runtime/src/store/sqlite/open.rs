//! Opening the file: its path, its settings, its tables.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::failure::is_busy;
use super::options::{Durability, SqliteMode, SqliteOptions};
use super::rows;
use crate::error::Error;
use crate::store::StoreError;

/// The statements that create the tables and the view. An operator can read and run them too.
const SCHEMA: &str = concat!(include_str!("schema.sql"), include_str!("stuck.sql"));
/// The version of the tables that this code reads and writes.
const VERSION: i64 = 1;
/// The write-ahead log is cut back to this many bytes when it starts over.
const JOURNAL_SIZE_LIMIT: i64 = 16 * 1024 * 1024;

/// Refuses a path that can't be a durable file.
pub(super) fn check_path(path: &Path) -> Result<(), Error> {
    let refuse = |what: &str| Err(Error::config(format!("{what}: name a file, or use a `MemoryStore`")));
    match path.to_str() {
        Some("") => refuse("a `SqliteStore` needs the path of a file, and this one is empty"),
        Some(text) if text.starts_with(":memory:") => refuse("a `SqliteStore` does not live in memory (`:memory:`)"),
        Some(text) if text.starts_with("file:") => refuse("a `SqliteStore` takes a path, not SQLite's `file:` URI"),
        _ if path.is_dir() => Err(failed(path, "it is a directory", None)),
        _ => Ok(()),
    }
}

/// Opens the connection that writes. Creates the file and its tables if the options say so.
pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Result<Connection, Error> {
    let connection = connect(path, options).map_err(|error| explain(path, error))?;
    if options.serves && options.mode != SqliteMode::ReadOnly {
        prepare(&connection, path, options)?;
    } else {
        find_tables(&connection, path, options)?;
    }
    rows::check(&connection)
        .map_err(|error| failed(path, "its table `idempotency` is not the one in `schema.sql`", Some(error)))?;
    Ok(connection)
}

/// Prepares a file for handlers: puts it into WAL mode and creates the tables.
fn prepare(connection: &Connection, path: &Path, options: &SqliteOptions) -> Result<(), Error> {
    let explain = |error| explain(path, error);
    if connection.is_readonly(MAIN_DB).map_err(explain)? {
        return Err(failed(path, "it can't be written", None));
    }
    let deadline = Instant::now() + options.busy_timeout;
    let journal = patiently(deadline, || enter_wal_mode(connection)).map_err(explain)?;
    if !journal.eq_ignore_ascii_case("wal") {
        let what = format!("its journal mode is `{journal}` and can't be changed to WAL");
        return Err(failed(path, &what, None));
    }
    check_version(path, patiently(deadline, || create_tables(connection, options)).map_err(explain)?)
}

/// Checks the tables of a file, and creates nothing.
fn find_tables(connection: &Connection, path: &Path, options: &SqliteOptions) -> Result<(), Error> {
    let deadline = Instant::now() + options.busy_timeout;
    let found = patiently(deadline, || version(connection)).map_err(|error| unread(path, error));
    check_version(path, found?)?;
    synchronous(connection, options.durability == Durability::PowerLoss).map_err(|error| explain(path, error))
}

/// Why the version of the tables could not be read.
fn unread(path: &Path, error: rusqlite::Error) -> Error {
    let what = match error.sqlite_error_code() {
        // No such table, or nothing in it.
        Some(ErrorCode::Unknown) | None => "it has no tables of a store: is it the right file?",
        // SQLite would have to create the log and its index for a file in WAL mode, or to write the file itself after a
        // crash.
        Some(ErrorCode::ReadOnly) => {
            "no other process has it open, so SQLite has to write to it or to its folder to read it, and this process may \
             not"
        }
        _ => return explain(path, error),
    };
    failed(path, what, Some(error))
}

fn check_version(path: &Path, version: i64) -> Result<(), Error> {
    if version == VERSION {
        return Ok(());
    }
    let what =
        format!("its tables are of version {version}, and this program knows version {VERSION}: update the program");
    Err(failed(path, &what, None))
}

/// The version of the tables.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT version FROM idempotency_schema WHERE id = 1", [], |row| row.get(0))
}

/// Opens a connection that reads. The writer has opened the file before.
pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Result<Connection, Error> {
    let connection = connect(path, options).map_err(|error| explain(path, error))?;
    connection.pragma_update(None, "query_only", true).map_err(|error| explain(path, error))?;
    Ok(connection)
}

fn connect(path: &Path, options: &SqliteOptions) -> rusqlite::Result<Connection> {
    let access = match options.mode {
        SqliteMode::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        SqliteMode::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
        SqliteMode::ReadWriteCreate => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    // Without `SQLITE_OPEN_URI`, so that SQLite takes no path for a URI.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Puts the file into WAL mode. Readers and the writer then don't wait for each other, and a commit costs one sync
/// instead of three (<https://www.sqlite.org/wal.html>).
fn enter_wal_mode(connection: &Connection) -> rusqlite::Result<String> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode.eq_ignore_ascii_case("wal") {
        return Ok(mode);
    }
    // The change is a transaction with a rollback journal, which ends when the journal is deleted. Only EXTRA syncs the
    // deletion. Otherwise the journal could be back after a power loss: it would undo the change, and the log would be
    // thrown away unread.
    connection.execute_batch("PRAGMA synchronous = EXTRA")?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))
}

/// Creates the missing tables. Returns the version of the tables, and writes nothing if it isn't this code's version.
fn create_tables(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<i64> {
    connection.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    synchronous(connection, options.durability == Durability::PowerLoss)?;
    // IMMEDIATE, because a transaction that first reads and then writes fails at once if another process wrote in
    // between.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let made = connection.execute_batch(SCHEMA).and_then(|()| {
        let version = version(connection)?;
        // Writes the present value, so that the commit writes even if nothing changes, and so syncs the log. A process
        // may have been killed between its write and its sync. Without this sync, a record from that write could be
        // replayed and acknowledged, and then be lost in a power failure.
        let user_version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        connection.pragma_update(None, "user_version", user_version)?;
        Ok(version)
    });
    match made {
        Ok(version) => {
            connection.execute_batch(if version == VERSION { "COMMIT" } else { "ROLLBACK" }).map(|()| version)
        }
        Err(error) => {
            let _ = connection.execute_batch("ROLLBACK");
            Err(error)
        }
    }
}

/// Sets whether a commit syncs the write-ahead log (`FULL`), or leaves that to the next commit that does, or to a
/// checkpoint (`NORMAL`). It takes effect between transactions
/// (<https://www.sqlite.org/pragma.html#pragma_synchronous>).
pub(super) fn synchronous(connection: &Connection, full: bool) -> rusqlite::Result<()> {
    connection.execute_batch(if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })
}

/// Repeats `attempt` while the file is locked, until the deadline. SQLite itself doesn't wait for a lock when it
/// changes the journal mode, nor while another connection recovers the log.
fn patiently<T>(deadline: Instant, mut attempt: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let mut pause = Duration::from_millis(1);
    loop {
        match attempt() {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                std::thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}

fn explain(path: &Path, error: rusqlite::Error) -> Error {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is not a SQLite database".to_owned(),
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged".to_owned(),
        Some(ErrorCode::ReadOnly) => "it can't be written".to_owned(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process keeps it locked".to_owned(),
        Some(ErrorCode::CannotOpen) => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
                format!("the directory `{}` does not exist", parent.display())
            }
            _ if !path.exists() => "it does not exist".to_owned(),
            _ => "it can't be opened".to_owned(),
        },
        _ => "SQLite failed".to_owned(),
    };
    failed(path, &what, Some(error))
}

/// The error for a file that can't be used. `what` says why.
pub(super) fn failed(path: &Path, what: &str, source: Option<rusqlite::Error>) -> Error {
    let message = format!("the SQLite file `{}` can't be used as a store: {what}", path.display());
    Error::Config { message, source: source.map(|error| StoreError::from(super::failure::Failure::from(error))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error is made by hand, because the user that runs the tests may write everywhere.
    #[test]
    fn a_reader_of_a_file_that_no_process_has_open_is_told_what_is_missing() {
        let error =
            rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY_CANTINIT), None);
        let told = unread(Path::new("idem.sqlite"), error).to_string();
        assert!(told.contains("no other process has it open, so SQLite has to write to it"), "{told}");
    }
}
