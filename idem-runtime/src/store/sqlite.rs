//! The durable store in one SQLite file.

mod admin;
mod failure;
mod file;
mod job;
mod log;
mod look;
mod open;
mod options;
mod order;
mod pace;
mod queue;
mod reader;
mod route;
mod rows;
mod session;
mod sweep;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::failure::Failure;
use self::job::{Ask, Job};
pub use self::options::{Durability, SqliteMode, SqliteOptions};
use self::order::Order;
use self::queue::Queue;
use self::reader::Question;
use self::route::Route;
use self::writer::Writer;
use crate::error::Error;
use crate::protocol::{Reply, State};
use crate::store::notifiers::Notifiers;
use crate::store::table::Table;
use crate::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, IdempotencyStore, Key, Record, ReleaseRequest,
    RenewRequest, Standing, StoreError, WaitRequest,
};
use crate::task::timer;

/// A durable store in one SQLite file. Any number of processes on one machine can share the file.
///
/// A completion is on the disk before it is acknowledged ([`Durability`]). A first execution costs one sync;
/// completions that wait at the same time share it. A replay costs no sync.
///
/// While there are duplicates, reader threads answer them without waiting for the writer. After many new keys in a row,
/// the first duplicates may wait for the writer's commit.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = std::env::temp_dir().join(format!("idem-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("idem.sqlite");
/// use idem_runtime::SqliteStore;
///
/// let store = SqliteStore::open(&path).await?;
/// # let _ = store;
/// # std::fs::remove_dir_all(directory)?;
/// # Ok(())
/// # }
/// ```
///
/// # What it does
///
/// The file is in WAL mode, so it has to be on a disk of this machine and not on a network file system
/// (<https://www.sqlite.org/wal.html>). It must not be replaced while it is open, because the processes would then use
/// two files with two sets of keys (<https://www.sqlite.org/howtocorrupt.html>).
///
/// The tables are `idem_keys` and `idem_keys_schema`. They can be in a database with other tables.
/// `idem-runtime/src/store/sqlite/schema.sql` creates them by hand. Opening the store also creates the view
/// `idem_keys_stuck`, which shows an operator the keys whose last call never said how it ended (`stuck.sql`).
/// [`SqliteOptions::table`] gives the table another name. Whatever else belongs to the table is named after it.
///
/// Each open store has threads of its own: one that writes, and [`SqliteOptions::readers`] that read. So any executor
/// can poll its futures, and they block none. The threads end after the last handle is dropped, once they have carried
/// out the requests that were sent before. The number of waiting requests has no bound of its own; there is at most one
/// for each waiting caller.
///
/// Keys are case-sensitive and binary-safe. A record can have up to 16 MiB ([`IdempotencyStore::max_record_len`]);
/// SQLite's own limit is 10⁹ bytes.
///
/// # Its clock
///
/// Time is the machine's clock. A lease ends early by as much as that clock steps ahead: a key is then granted to a
/// second caller while its holder runs. Slew the machine's clock, don't step it. chrony's `makestep` should step it
/// only in the first updates after a start. The clock of a virtual machine that is resumed is stepped too.
///
/// If the clock is set back, leases and ttls last longer by as much. Fences still grow.
///
/// # Sweeping
///
/// The writer sweeps expired rows in the background, in transactions of about half a millisecond. While there is other
/// work, sweeping takes a fifteenth of the writer's time. [`IdempotencyAdmin::sweep`] works in the same way.
///
/// The file keeps its size when rows are swept, and SQLite reuses the free pages. `VACUUM`, through any connection to
/// the file, gives them back to the disk. It writes the whole file anew, and every writer waits for it.
///
/// To give back a few pages at a time, set `PRAGMA auto_vacuum = INCREMENTAL` before the store first opens the file, or
/// set it later and run `VACUUM` once. `PRAGMA incremental_vacuum(1000)` then gives back 1,000 pages.
///
/// One long read transaction, such as a backup or a report, makes the write-ahead log grow, the file with `-wal` at its
/// end: every page that is written meanwhile is added to it. While the log is over 64 MB and in use, nothing is swept.
/// The background sweep then logs a warning and tries again later; an operator's sweep gets an error.
#[derive(Clone)]
pub struct SqliteStore(Arc<Handle>);

/// What the handles of a store share. Dropping it ends the threads.
struct Handle {
    shared: Arc<Shared>,
    path: PathBuf,
}

/// What the handles share with the threads.
struct Shared {
    questions: Queue<Question>,
    orders: Queue<Order>,
    notifiers: Arc<Notifiers>,
    route: Arc<Route>,
}

impl Drop for Handle {
    /// The readers end first, because they pass claims on to the writer. The last reader closes the writer's queue.
    fn drop(&mut self) {
        self.shared.questions.close();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteStore").field(&self.0.path).finish()
    }
}

impl SqliteStore {
    /// Opens the store in this file. Creates the file and the tables if they don't exist. [`SqliteOptions::mode`]
    /// changes that.
    ///
    /// # Errors
    ///
    /// Those of [`SqliteOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::options().open(path).await
    }

    /// The options of a store, to open it with settings other than the default ones.
    pub fn options() -> SqliteOptions {
        SqliteOptions::default()
    }

    async fn start(path: PathBuf, table: Table, options: SqliteOptions) -> Result<Self, Error> {
        crate::store::owner::store_opened();
        let shared = Arc::new(Shared {
            questions: Queue::new(),
            orders: Queue::new(),
            notifiers: Notifiers::new(),
            route: Arc::new(Route::new(options.mode == SqliteMode::ReadOnly)),
        });
        // The handle is made first: if anything below fails, dropping it ends the threads that were started.
        let store = Self(Arc::new(Handle { shared: Arc::clone(&shared), path: path.clone() }));
        let readers = Arc::new(ReadersLeft(Arc::clone(&shared)));
        opened(spawn_writer(path.clone(), table.clone(), options.clone(), Arc::clone(&shared))?).await?;
        for _ in 0..options.readers {
            opened(spawn_reader(path.clone(), table.clone(), options.clone(), Arc::clone(&readers))?).await?;
        }
        Ok(store)
    }

    /// Sends a request to the writer, and waits for the answer.
    async fn ask(&self, scope: &str, key: &Key, ask: Ask) -> Result<(Reply, Option<Record>), StoreError> {
        let (job, answer) = Job::new(scope, key, ask);
        self.0.shared.orders.push(Order::Job(job)).map_err(|_| Failure::Closed)?;
        Ok(answer.await.unwrap_or(Err(Failure::Closed))?)
    }

    async fn standing(&self, scope: &str, key: &Key, ask: Ask) -> Result<Standing, StoreError> {
        self.ask(scope, key, ask).await.map(|(reply, _)| reply.into_standing())
    }
}

impl IdempotencyStore for SqliteStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (job, answer) = Job::new(request.scope, request.key, request.into());
        let shared = &self.0.shared;
        let pushed = if shared.route.by_reader() {
            shared.questions.push(Question::Claim(job)).is_ok()
        } else {
            shared.orders.push(Order::Job(job)).is_ok()
        };
        if !pushed {
            return Err(Failure::Closed.into());
        }
        let (reply, record) = answer.await.unwrap_or(Err(Failure::Closed))?;
        Ok(reply.into_claim(|| record))
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.standing(request.scope, request.key, request.into()).await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.standing(request.scope, request.key, request.into()).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        self.0.shared.route.release_sent();
        self.standing(request.scope, request.key, request.into()).await
    }

    /// Returns at once if this process ends the key. Otherwise it returns after 50 to 250 ms, longer with each round,
    /// so that the caller looks whether another process ended it.
    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        const POLL: [u64; 4] = [50, 100, 200, 250];
        let round = usize::try_from(request.round).unwrap_or(usize::MAX);
        let poll = Duration::from_millis(POLL[round.min(POLL.len() - 1)]).min(request.at_most);
        let deadline = Instant::now() + poll;
        // Listen before looking: otherwise an ending between the two would be missed.
        let mut notified = pin!(self.0.shared.notifiers.of(request.scope, request.key).notified());
        notified.as_mut().enable();
        if let Some(left) = self.held_for(request.scope, request.key).await? {
            let time = || left.min(deadline.saturating_duration_since(Instant::now()));
            timer::within(time, notified).await;
        }
        Ok(())
    }

    fn needs_runtime(&self) -> bool {
        false
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}

impl SqliteStore {
    /// How long the lease on this key still lasts, if there is one.
    async fn held_for(&self, scope: &str, key: &Key) -> Result<Option<Duration>, StoreError> {
        let (scope, key) = (scope.to_owned(), key.clone());
        self.read(move |file, now| {
            let (left, _) = rows::find(file, &scope, &key, |row| {
                let held = row.filter(|row| matches!(row.state, State::Running | State::Kept) && row.until > now);
                (held.map(|row| Duration::from_micros(row.until - now)), false)
            })?;
            Ok(left)
        })
        .await
    }
}

/// Held by each reader. When the last reader ends, the writer's queue is closed, as nothing more is passed on to the
/// writer.
struct ReadersLeft(Arc<Shared>);

impl Drop for ReadersLeft {
    fn drop(&mut self) {
        self.0.questions.abandon();
        self.0.orders.close();
    }
}

/// Held by the writer. However the writer ends, its waiting requests are dropped, so that no caller waits for ever.
struct Abandon<'a>(&'a Queue<Order>);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn spawn_writer(
    path: PathBuf,
    table: Table,
    options: SqliteOptions,
    shared: Arc<Shared>,
) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
    let open = move || {
        open::check_path(&path)?;
        open::writer(&path, &table, &options).map(|file| (file, options))
    };
    spawn("idem-sqlite-writer", open, move |(file, options)| {
        let _abandon = Abandon(&shared.orders);
        Writer::new(file, options, Arc::clone(&shared.notifiers), Arc::clone(&shared.route)).run(&shared.orders);
    })
}

fn spawn_reader(
    path: PathBuf,
    table: Table,
    options: SqliteOptions,
    left: Arc<ReadersLeft>,
) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
    spawn(
        "idem-sqlite-read",
        move || open::reader(&path, &table, &options),
        move |file| {
            let shared = &left.0;
            reader::run(&file, &shared.questions, &shared.orders, &shared.route);
        },
    )
}

/// Starts a thread that opens something, reports whether that worked, and then does its work.
fn spawn<T>(
    name: &str,
    open: impl FnOnce() -> Result<T, Error> + Send + 'static,
    work: impl FnOnce(T) + Send + 'static,
) -> Result<oneshot::Receiver<Result<(), Error>>, Error> {
    let (answer, opened) = oneshot::channel();
    let run = move || match open() {
        Ok(opened) => {
            if answer.send(Ok(())).is_ok() {
                work(opened);
            }
        }
        Err(error) => drop(answer.send(Err(error))),
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| Error::Config {
        message: "a SQLite store needs threads of its own, and one could not be started".to_owned(),
        source: Some(StoreError::refused(failure::STORE, error).in_own_words()),
    })?;
    Ok(opened)
}

async fn opened(opening: oneshot::Receiver<Result<(), Error>>) -> Result<(), Error> {
    opening.await.unwrap_or_else(|_| Err(Error::config("a thread of the SQLite store ended before the store was open")))
}
