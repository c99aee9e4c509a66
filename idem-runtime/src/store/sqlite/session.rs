//! The writer's connection: its transactions, and whether their commits sync.

use super::failure::Failure;
use super::file::File;
use super::open;
use super::options::{Durability, SqliteOptions};

pub(super) struct Session {
    pub(super) file: File,
    pub(super) options: SqliteOptions,
    /// Whether SQLite is set to sync the log at each commit.
    syncs: bool,
}

impl Session {
    pub(super) fn new(file: File, options: SqliteOptions) -> Self {
        let syncs = options.durability == Durability::PowerLoss;
        Self { file, options, syncs }
    }

    /// Runs `work` in a write transaction. Commits it if `work` returns `true`, and else rolls it back.
    ///
    /// The transaction is IMMEDIATE, because one that first reads and then writes fails at once, without waiting for
    /// the busy timeout, if another process wrote in between.
    pub(super) fn in_transaction<T>(
        &self,
        work: impl FnOnce(&File) -> Result<(bool, T), Failure>,
    ) -> Result<T, Failure> {
        let execute = |sql| self.file.prepare_cached(sql)?.execute([]);
        execute("BEGIN IMMEDIATE")?;
        let done = work(&self.file).and_then(|(commit, done)| {
            execute(if commit { "COMMIT" } else { "ROLLBACK" })?;
            Ok(done)
        });
        // After some errors SQLite has rolled back itself; after others the transaction is still open.
        if done.is_err() && !self.file.is_autocommit() {
            let _ = execute("ROLLBACK");
        }
        done
    }

    /// Sets whether the next commits sync the log.
    pub(super) fn set_sync(&mut self, syncs: bool) -> Result<(), Failure> {
        if self.syncs != syncs {
            open::synchronous(&self.file, syncs)?;
            self.syncs = syncs;
        }
        Ok(())
    }
}
