//! The options of a store.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::store::sqlite::SqliteStore;
use crate::store::table::{self, Table};
use crate::store::url::{self, Names};

/// The parameters of a URL.
const PARAMETERS: &[Names] = &[&["mode"], url::TABLE];

/// Which failures an acknowledged completion survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// A power loss. A completion is synced to the disk before it is acknowledged (`PRAGMA synchronous = FULL`).
    ///
    /// Completions that wait at the same time share one sync.
    #[default]
    PowerLoss,
    /// `kill -9`, but not a power loss and not a crash of the operating system. After one of these, the last
    /// completions may be lost, and their handlers run again (`PRAGMA synchronous = NORMAL`). The file stays intact.
    ProcessCrash,
}

/// How the file is opened. In a URL it is `?mode=`, with the words of SQLite's own URIs
/// (<https://www.sqlite.org/uri.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SqliteMode {
    /// `ro`: the file has to exist, and the store writes nothing to it. A completed key is replayed, and its record is
    /// as durable as the store that wrote it made it. A request that would write, such as the claim of a new key, is an
    /// error. Nothing is swept.
    ///
    /// If the file is in WAL mode and no other process has it open, SQLite leaves two files beside it: an empty log
    /// (`-wal`) and `-shm`.
    ReadOnly,
    /// `rw`: the file has to exist. Missing tables are created.
    ReadWrite,
    /// `rwc`: a missing file and missing tables are created.
    #[default]
    ReadWriteCreate,
}

/// How to open a [`SqliteStore`]. [`SqliteStore::options`] makes it.
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
    /// Whether handlers will use the store, so that its tables are created.
    pub(super) serves: bool,
    table: String,
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
            table: table::DEFAULT.to_owned(),
            busy_timeout: Duration::from_secs(5),
            readers: 2,
            sweep_interval: Some(Duration::from_secs(60)),
            sweep_batch: 1_000,
        }
    }
}

impl SqliteOptions {
    const SHORTEST_SWEEP_INTERVAL: Duration = Duration::from_millis(10);

    /// Which failures an acknowledged completion survives. Default: [`Durability::PowerLoss`].
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether the store may create the file, and write it. Default: [`SqliteMode::ReadWriteCreate`].
    pub fn mode(mut self, mode: SqliteMode) -> Self {
        self.mode = mode;
        self
    }

    /// How long a request waits for another process's write lock. After that, the store's answer is
    /// [`StoreError::unanswered`](crate::store::StoreError::unanswered). Default: 5 seconds.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        // SQLite takes milliseconds in 31 bits.
        self.busy_timeout = timeout.min(Duration::from_millis(i32::MAX as u64));
        self
    }

    /// How many threads read, beside the one that writes. At least 1. Default: 2.
    pub fn readers(mut self, readers: usize) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// The name of the store's table: a lowercase letter, then lowercase letters, digits and `_`, at most 40 characters.
    /// Any other name is an error when the store is opened. Default: `idem_keys`. In a URL it is the parameter `table`,
    /// which takes precedence.
    ///
    /// Whatever else belongs to the table is named after it. Stores with different names share nothing, also in one
    /// file. Handlers in tx mode use the table of [`tx::use_table`](crate::tx::use_table).
    pub fn table(mut self, name: impl Into<String>) -> Self {
        self.table = name.into();
        self
    }

    /// How often the background looks for rows that are no longer needed. At least 10 ms. Default: one minute. Each
    /// interval is up to a quarter shorter or longer, so that processes that start together don't sweep together.
    /// `None`: never, because something else calls [`IdempotencyAdmin::sweep`](crate::IdempotencyAdmin::sweep).
    ///
    /// An expired row counts as absent, swept or not.
    pub fn sweep_interval(mut self, interval: Option<Duration>) -> Self {
        self.sweep_interval = interval.map(|interval| interval.max(Self::SHORTEST_SWEEP_INTERVAL));
        self
    }

    /// How many rows one transaction of a sweep deletes at most. At least 1. Default: 1,000. A transaction also ends
    /// after about half a millisecond, so that the writer returns to other work.
    pub fn sweep_batch(mut self, rows: usize) -> Self {
        self.sweep_batch = rows.max(1);
        self
    }

    /// For an operator, who may have only the right to read: nothing is created, and nothing is swept in the
    /// background. Operations that write still work if the operator may write the file.
    pub(crate) fn for_operator(mut self) -> Self {
        self.serves = false;
        if self.mode == SqliteMode::ReadWriteCreate {
            self.mode = SqliteMode::ReadWrite;
        }
        self.readers(1).sweep_interval(None)
    }

    /// Takes a URL without its scheme. Returns the path in it, and the options from its parameters.
    pub(crate) fn from_url(url: &str) -> Result<(&str, Self), Error> {
        let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
        let mut options = Self::default();
        for (name, value) in url::parameters(query, PARAMETERS)? {
            if name == url::TABLE[0] {
                options.table = Table::new(&value)?.to_string();
                continue;
            }
            options.mode = match value.as_str() {
                "ro" => SqliteMode::ReadOnly,
                "rw" => SqliteMode::ReadWrite,
                "rwc" => SqliteMode::ReadWriteCreate,
                _ => return Err(Error::config(format!("the `{name}` of a `sqlite:` URL is `ro`, `rw` or `rwc`"))),
            };
        }
        Ok((path.strip_prefix("//").unwrap_or(path), options))
    }

    /// Opens the store in this file. [`mode`](Self::mode) says whether a missing file and missing tables are created.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the path is empty, `:memory:`, a URI or a directory; if the table can't have this name; if the
    /// file is missing and may not be created; if it can't be opened, can't be written although the mode asks for it, or
    /// is no SQLite database; and if its tables are missing and may not be created, are those of another version or
    /// someone else's, or still have the name of an earlier version. The store checks whose tables they are before it
    /// changes anything.
    pub async fn open(mut self, path: impl AsRef<Path>) -> Result<SqliteStore, Error> {
        let (path, table): (PathBuf, _) = (path.as_ref().to_owned(), Table::new(&self.table)?);
        if self.mode == SqliteMode::ReadOnly {
            self.sweep_interval = None;
        }
        SqliteStore::start(path, table, self).await
    }
}
