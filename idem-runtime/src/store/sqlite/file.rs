//! A connection to the file, with the statements on the store's table.

use std::ops::Deref;

use rusqlite::Connection;

use crate::store::table::Table;

/// A connection, and the statements that it keeps prepared.
pub(super) struct File {
    connection: Connection,
    pub(super) texts: Texts,
}

/// The statements on a table. They are made once for each connection.
pub(super) struct Texts {
    pub(super) select: String,
    pub(super) insert: String,
    /// Inserts the row of the first claim of a key.
    pub(super) claim: String,
    /// Renews the lease of a running key, if the row stays long enough already.
    pub(super) renew: String,
    /// Completes a key that its holder runs, if the row stays long enough already.
    pub(super) complete: String,
    pub(super) update: String,
    pub(super) update_with_record: String,
    pub(super) delete: String,
    /// Finds rows that are due and no longer needed. It has the condition of
    /// [`Row::is_sweepable`](crate::protocol::Row::is_sweepable), so that no sweep reads again the rows that are due and
    /// still needed. Each row found is checked with `is_sweepable` too.
    pub(super) due: String,
    /// The beginning of a listing.
    pub(super) list: String,
    /// Reads the version of the tables.
    pub(super) version: String,
}

/// The columns of a row, in the order in which they are read: [`super::rows`]. The record comes last, so that SQLite
/// doesn't follow a large record's overflow pages to reach another column.
macro_rules! columns {
    () => {
        "state, owner, fence, until, doubt, previous, previous_fence, attempt, fingerprint, ended, purge_at"
    };
}

const SELECT: &str = concat!("SELECT ", columns!(), ", record FROM \"idem_keys\" WHERE scope = ?1 AND key = ?2");
const INSERT: &str = concat!(
    "INSERT INTO \"idem_keys\" (scope, key, ",
    columns!(),
    ", record) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING"
);
const CLAIM: &str = "INSERT INTO \"idem_keys\" \
     (scope, key, state, owner, fence, until, previous, attempt, fingerprint, ended, purge_at) \
     VALUES (?1, ?2, 1, ?3, ?4, ?5, 1, 1, ?6, x'', ?7) ON CONFLICT DO NOTHING";
const RENEW: &str = "UPDATE \"idem_keys\" SET until = ?5 WHERE scope = ?1 AND key = ?2 AND owner = ?3 AND fence = ?4 \
     AND state = 1 AND (purge_at BETWEEN ?6 AND ?7 OR (purge_at IS NULL AND ?6 IS NULL))";
const COMPLETE: &str = "UPDATE \"idem_keys\" SET state = 5, until = ?5, doubt = NULL, record = ?8 \
     WHERE scope = ?1 AND key = ?2 AND owner = ?3 AND fence = ?4 AND state IN (1, 2) AND purge_at BETWEEN ?6 AND ?7";
const UPDATE: &str = "UPDATE \"idem_keys\" SET state = ?3, owner = ?4, fence = ?5, until = ?6, doubt = ?7, previous = ?8, \
     previous_fence = ?9, attempt = ?10, fingerprint = ?11, ended = ?12, purge_at = ?13 WHERE scope = ?1 AND key = ?2";
const UPDATE_WITH_RECORD: &str = "UPDATE \"idem_keys\" SET state = ?3, owner = ?4, fence = ?5, until = ?6, doubt = ?7, \
     previous = ?8, previous_fence = ?9, attempt = ?10, fingerprint = ?11, ended = ?12, purge_at = ?13, record = ?14 \
     WHERE scope = ?1 AND key = ?2";
const DELETE: &str = "DELETE FROM \"idem_keys\" WHERE scope = ?1 AND key = ?2";
const DUE: &str = concat!(
    "SELECT scope, key, ",
    columns!(),
    " FROM \"idem_keys\" WHERE purge_at <= ?1 AND (state IN (2, 4) OR until <= ?1) ORDER BY purge_at"
);
const LIST: &str = concat!("SELECT scope, key, ", columns!(), " FROM \"idem_keys\" WHERE TRUE");
const VERSION: &str = "SELECT version FROM \"idem_keys_schema\" WHERE id = 1";

impl Texts {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            select: table.named(SELECT),
            insert: table.named(INSERT),
            claim: table.named(CLAIM),
            renew: table.named(RENEW),
            complete: table.named(COMPLETE),
            update: table.named(UPDATE),
            update_with_record: table.named(UPDATE_WITH_RECORD),
            delete: table.named(DELETE),
            due: table.named(DUE),
            list: table.named(LIST),
            version: table.named(VERSION),
        }
    }
}

impl File {
    pub(super) fn new(connection: Connection, table: &Table) -> Self {
        Self { connection, texts: Texts::new(table) }
    }

    /// Checks that the table has the columns that this version reads and writes.
    pub(super) fn check(&self) -> rusqlite::Result<()> {
        let Texts { select, insert, claim, renew, complete, update, update_with_record, delete, .. } = &self.texts;
        for sql in [select, insert, claim, renew, complete, update, update_with_record, delete] {
            self.prepare_cached(sql)?;
        }
        Ok(())
    }

    /// The version of the tables.
    pub(super) fn version(&self) -> rusqlite::Result<i64> {
        self.query_row(&self.texts.version, [], |row| row.get(0))
    }
}

impl Deref for File {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}
