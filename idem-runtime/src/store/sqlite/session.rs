//! The writer's connection: its transactions, and whether they sync.

use rusqlite::Connection;

use super::failure::Failure;
use super::open;
use super::options::{Durability, SqliteOptions};

pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) options: SqliteOptions,
    /// Whether commits sync the log, as SQLite was told last.
    syncs: bool,
}

impl Session {
    pub(super) fn new(connection: Connection, options: SqliteOptions) -> Self {
        let syncs = options.durability == Durability::PowerLoss;
        Self { connection, options, syncs }
    }

    /// Runs `work` in a write transaction, and commits it if `work` says so.
    ///
    /// IMMEDIATE: one that first reads and then writes fails at once, whatever the busy timeout, where another process
    /// wrote in between.
    pub(super) fn in_transaction<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<(bool, T), Failure>,
    ) -> Result<T, Failure> {
        let execute = |sql| self.connection.prepare_cached(sql)?.execute([]);
        execute("BEGIN IMMEDIATE")?;
        let done = work(&self.connection).and_then(|(commit, done)| {
            execute(if commit { "COMMIT" } else { "ROLLBACK" })?;
            Ok(done)
        });
        // SQLite itself rolls back after some errors, and stays in the transaction after others.
        if done.is_err() && !self.connection.is_autocommit() {
            let _ = execute("ROLLBACK");
        }
        done
    }

    /// Whether what is written next is on the disk when it is committed.
    pub(super) fn set_sync(&mut self, syncs: bool) -> Result<(), Failure> {
        if self.syncs != syncs {
            open::synchronous(&self.connection, syncs)?;
            self.syncs = syncs;
        }
        Ok(())
    }
}
