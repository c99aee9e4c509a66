//! How a store is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::store::sqlite::SqliteStore;

/// What an acknowledged completion survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A power loss: a completion is synced to the disk before it is acknowledged (`PRAGMA synchronous = FULL`).
    ///
    /// Completions that wait at the same time share one sync.
    #[default]
    PowerLoss,
    /// `kill -9`, but not a power loss or a crash of the operating system, after which the last completions may be
    /// forgotten, and their handlers run again (`PRAGMA synchronous = NORMAL`). The file stays intact.
    ProcessCrash,
}

/// How to open a [`SqliteStore`]: made by [`SqliteStore::options`].
///
/// ```no_run
/// # async fn open() -> Result<(), idem_runtime::Error> {
/// use std::time::Duration;
/// use idem_runtime::SqliteStore;
///
/// let store = SqliteStore::options().busy_timeout(Duration::from_secs(2)).open("/var/lib/app/idem.sqlite").await?;
/// # let _ = store;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options open nothing until `open` is called"]
pub struct SqliteOptions {
    pub(super) durability: Durability,
    pub(super) busy_timeout: Duration,
    pub(super) readers: usize,
    pub(super) sweep_interval: Option<Duration>,
    pub(super) sweep_batch: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::PowerLoss,
            busy_timeout: Duration::from_secs(5),
            readers: 2,
            sweep_interval: Some(Duration::from_secs(60)),
            sweep_batch: 1_000,
        }
    }
}

impl SqliteOptions {
    const SHORTEST_SWEEP_INTERVAL: Duration = Duration::from_millis(10);

    /// What an acknowledged completion survives. [`Durability::PowerLoss`] unless set.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long to wait for another process's write lock before the store says that it got no answer. 5 seconds unless
    /// set.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        // SQLite counts it in milliseconds, in 31 bits.
        self.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// How many threads read, beside the one that writes; at least one. 2 unless set.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// How often to look for rows that nobody needs any more; `None`: never, because something else calls
    /// [`IdempotencyAdmin::sweep`](crate::IdempotencyAdmin::sweep). Once a minute unless set, and at most every 10 ms; up
    /// to a quarter sooner or later, so that processes that start together don't sweep together.
    ///
    /// An expired row counts as absent whether or not it was swept.
    pub fn sweep_interval(mut self, interval: Option<Duration>) -> Self {
        self.sweep_interval = interval.map(|interval| interval.max(Self::SHORTEST_SWEEP_INTERVAL));
        self
    }

    /// How many rows one transaction of a sweep deletes at most; at least one. 1,000 unless set. A transaction also ends
    /// after about half a millisecond, so that the writer isn't kept from other work for longer.
    pub fn sweep_batch(mut self, rows: usize) -> Self {
        self.sweep_batch = rows.max(1);
        self
    }

    /// Opens the store in this file, which is created if it doesn't exist, and so are the tables.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the path is empty, `:memory:`, a URI or a directory, where the file can't be opened and
    /// written, where it is no SQLite database, and where its tables are not those of this version.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<SqliteStore, Error> {
        let path: PathBuf = path.as_ref().to_owned();
        SqliteStore::start(path, self).await
    }
}
