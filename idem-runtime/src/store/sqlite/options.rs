//! How a store is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::store::sqlite::SqliteStore;
use crate::store::url::{self, Names};

/// What a URL can have.
const PARAMETERS: &[Names] = &[&["mode"]];

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

/// How the file is opened: `?mode=` in a URL, with the words that SQLite's own URIs have
/// (<https://www.sqlite.org/uri.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SqliteMode {
    /// `ro`: the file has to be there, and the store writes nothing to it. A completed key replays, as durable as whoever
    /// completed it made it; whatever would write, as the claim of a new key does, is refused. Nothing is swept.
    ///
    /// Of a file in WAL mode that nobody else has open, SQLite leaves an empty log behind: `-wal` and `-shm` beside the file.
    ReadOnly,
    /// `rw`: the file has to be there. The tables are created where they are missing.
    ReadWrite,
    /// `rwc`: the file is created where it is missing, and so are the tables.
    #[default]
    ReadWriteCreate,
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
    pub(super) mode: SqliteMode,
    /// Whether handlers will use it, and tables are created for them.
    pub(super) serves: bool,
    pub(super) busy_timeout: Duration,
    pub(super) readers: usize,
    pub(super) sweep_interval: Option<Duration>,
    pub(super) sweep_batch: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            durability: Durability::PowerLoss,
            mode: SqliteMode::ReadWriteCreate,
            serves: true,
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

    /// Whether the file may be created, and written. [`SqliteMode::ReadWriteCreate`] unless set.
    pub fn mode(mut self, mode: SqliteMode) -> Self {
        self.mode = mode;
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

    /// For an operator, who may only read: nothing is made and nothing is swept. Writes where the file lets it.
    pub(crate) fn for_operator(mut self) -> Self {
        self.serves = false;
        if self.mode == SqliteMode::ReadWriteCreate {
            self.mode = SqliteMode::ReadWrite;
        }
        self.readers(1).sweep_interval(None)
    }

    /// The path in a URL, without its scheme, and the options in its parameters.
    pub(crate) fn from_url(url: &str) -> Result<(&str, Self), Error> {
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        let mut options = Self::default();
        for (name, value) in url::parameters(query, PARAMETERS)? {
            options.mode = match value.as_str() {
                "ro" => SqliteMode::ReadOnly,
                "rw" => SqliteMode::ReadWrite,
                "rwc" => SqliteMode::ReadWriteCreate,
                _ => return Err(Error::config(format!("the `{name}` of a `sqlite:` URL is `ro`, `rw` or `rwc`"))),
            };
        }
        Ok((path.strip_prefix("//").unwrap_or(path), options))
    }

    /// Opens the store in this file. What is missing is created as [`mode`](Self::mode) says.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the path is empty, `:memory:`, a URI or a directory, where the file is missing and may not be
    /// created, where it can't be opened, or written though it is to be, where it is no SQLite database, and where its tables
    /// are missing and may not be created, or are not those of this version.
    pub async fn open(mut self, path: impl AsRef<Path>) -> Result<SqliteStore, Error> {
        let path: PathBuf = path.as_ref().to_owned();
        if self.mode == SqliteMode::ReadOnly {
            self.sweep_interval = None;
        }
        SqliteStore::start(path, self).await
    }
}
