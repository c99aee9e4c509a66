//! Opening the file: its path, its settings, its tables.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::failure::is_busy;
use super::file::File;
use super::options::{Durability, SqliteMode, SqliteOptions};
use crate::error::Error;
use crate::store::StoreError;
use crate::store::table::Table;

/// The statements that create the tables and the view. An operator can read and run them too.
const SCHEMA: &str = concat!(include_str!("schema.sql"), include_str!("stuck.sql"));
/// Finds whether the table exists, its version table, and the tables of an earlier version. To SQLite, names that differ
/// in their case alone are one.
const FIND: &str = "\
    SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'idem_keys' COLLATE NOCASE), \
    EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'idem_keys_schema' COLLATE NOCASE), \
    EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'idempotency_schema') \
    AND EXISTS (SELECT 1 FROM pragma_table_info('idempotency') WHERE name = 'purge_at')";
/// Renames the tables of an earlier version. The store then creates the view, and the index under its new name.
const RENAME: &str = "\
    BEGIN; DROP VIEW IF EXISTS idempotency_stuck; DROP INDEX IF EXISTS idempotency_purge_at; \
    ALTER TABLE idempotency RENAME TO \"idem_keys\"; \
    ALTER TABLE idempotency_schema RENAME TO \"idem_keys_schema\"; COMMIT;";
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
pub(super) fn writer(path: &Path, table: &Table, options: &SqliteOptions) -> Result<File, Error> {
    let file = connect(path, table, options).map_err(|error| explain(path, error))?;
    if options.serves && options.mode != SqliteMode::ReadOnly {
        prepare(&file, path, table, options)?;
    } else {
        find_tables(&file, path, table, options)?;
    }
    file.check().map_err(|error| not_ours(path, table, error))?;
    Ok(file)
}

/// Prepares a file for handlers: puts it into WAL mode and creates the tables.
fn prepare(file: &File, path: &Path, table: &Table, options: &SqliteOptions) -> Result<(), Error> {
    let explain = |error| explain(path, error);
    if file.is_readonly(MAIN_DB).map_err(explain)? {
        return Err(failed(path, "it can't be written", None));
    }
    let deadline = Instant::now() + options.busy_timeout;
    refuse_others_tables(file, path, table, deadline)?;
    let journal = patiently(deadline, || enter_wal_mode(file)).map_err(explain)?;
    if !journal.eq_ignore_ascii_case("wal") {
        let what = format!("its journal mode is `{journal}` and can't be changed to WAL");
        return Err(failed(path, &what, None));
    }
    let schema = table.named(SCHEMA);
    check_version(path, patiently(deadline, || create_tables(file, &schema, options)).map_err(explain)?)
}

/// Checks the tables of a file, and creates nothing.
fn find_tables(file: &File, path: &Path, table: &Table, options: &SqliteOptions) -> Result<(), Error> {
    let deadline = Instant::now() + options.busy_timeout;
    refuse_others_tables(file, path, table, deadline)?;
    let found = patiently(deadline, || file.version()).map_err(|error| unread(path, error));
    check_version(path, found?)?;
    synchronous(file, options.durability == Durability::PowerLoss).map_err(|error| explain(path, error))
}

/// Refuses tables of this name that are someone else's, and tables that still have the name of an earlier version.
fn refuse_others_tables(file: &File, path: &Path, table: &Table, deadline: Instant) -> Result<(), Error> {
    let find = || file.query_row(&table.named(FIND), [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let (is_there, has_version, former): (bool, bool, bool) =
        patiently(deadline, find).map_err(|error| unread(path, error))?;
    if is_there && !has_version {
        return Err(failed(path, &table.is_foreign(), None));
    }
    if has_version {
        match patiently(deadline, || file.version()) {
            Ok(version) => check_version(path, version)?,
            Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Err(error) => return Err(not_ours(path, table, error)),
        }
    }
    if is_there {
        patiently(deadline, || file.check()).map_err(|error| not_ours(path, table, error))?;
    } else if former && !table.is_former() {
        return Err(failed(path, &table.has_other_name(RENAME), None));
    }
    Ok(())
}

/// Why a table can't be read or written as a store's.
fn not_ours(path: &Path, table: &Table, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        // No such table or column, or a version that is no number.
        Some(ErrorCode::Unknown) | None => failed(path, &table.is_foreign(), Some(error)),
        _ => explain(path, error),
    }
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

/// Opens a connection that reads. The writer has opened the file before.
pub(super) fn reader(path: &Path, table: &Table, options: &SqliteOptions) -> Result<File, Error> {
    let file = connect(path, table, options).map_err(|error| explain(path, error))?;
    file.pragma_update(None, "query_only", true).map_err(|error| explain(path, error))?;
    Ok(file)
}

fn connect(path: &Path, table: &Table, options: &SqliteOptions) -> rusqlite::Result<File> {
    let access = match options.mode {
        SqliteMode::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
        SqliteMode::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
        SqliteMode::ReadWriteCreate => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    // Without `SQLITE_OPEN_URI`, so that SQLite takes no path for a URI.
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(File::new(connection, table))
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
fn create_tables(file: &File, schema: &str, options: &SqliteOptions) -> rusqlite::Result<i64> {
    file.pragma_update(None, "journal_size_limit", JOURNAL_SIZE_LIMIT)?;
    synchronous(file, options.durability == Durability::PowerLoss)?;
    // IMMEDIATE, because a transaction that first reads and then writes fails at once if another process wrote in
    // between.
    file.execute_batch("BEGIN IMMEDIATE")?;
    let made = file.execute_batch(schema).and_then(|()| {
        let version = file.version()?;
        // Writes the present value, so that the commit writes even if nothing changes, and so syncs the log. A process
        // may have been killed between its write and its sync. Without this sync, a record from that write could be
        // replayed and acknowledged, and then be lost in a power failure.
        let user_version: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0))?;
        file.pragma_update(None, "user_version", user_version)?;
        Ok(version)
    });
    match made {
        Ok(version) => file.execute_batch(if version == VERSION { "COMMIT" } else { "ROLLBACK" }).map(|()| version),
        Err(error) => {
            let _ = file.execute_batch("ROLLBACK");
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
