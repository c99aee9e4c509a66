//! Where a SQL store's connections come from: its own few, or the user's pool.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Pool};
use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Failure;
use crate::timer;

/// How long opening a connection takes at most: whatever listens at the address may never say a word.
const LONGEST_OPENING: Duration = Duration::from_secs(5);

/// Who waits for a connection for longer gets a spare one: those in use are with futures that nobody polls, it may be, whose
/// threads are blocked. Short enough for the renewal of a lease of a second.
const PATIENCE: Duration = Duration::from_millis(250);

/// A connection that was idle for longer may have been dropped on its way without a word, and is not used again.
const LONGEST_IDLE: Duration = Duration::from_secs(300);

type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// What is done once with a connection that was opened.
pub(in crate::store) type Prepare<DB> =
    for<'c> fn(&'c mut <DB as Database>::Connection) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + 'c>>;

/// Where connections come from.
pub(in crate::store) enum Connections<DB: Database> {
    /// The store's own.
    Own(Arc<Own<DB>>),
    /// The user's pool, with its own checks.
    Pool(Pool<DB>),
}

/// A store's own connections. Unlike sqlx's pool it asks the server nothing of its own, neither when a connection is
/// taken nor when it is put back: a dead one is found by its use, and the engine repeats the request.
pub(in crate::store) struct Own<DB: Database> {
    options: Options<DB>,
    prepare: Option<Prepare<DB>>,
    most: usize,
    permits: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    idle: Mutex<Vec<Idle<DB>>>,
}

struct Idle<DB: Database> {
    connection: DB::Connection,
    since: Instant,
    home: Option<Id>,
}

/// The runtime that a connection is opened on belongs to it: on another one it stands still whenever nobody drives its own.
fn home() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

impl<DB: Database> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        match self {
            Self::Own(own) => Self::Own(Arc::clone(own)),
            Self::Pool(pool) => Self::Pool(pool.clone()),
        }
    }
}

impl<DB: Database> Connections<DB> {
    /// At most `most` of the store's own, and as many spare ones, each prepared once when it is opened. None is opened yet.
    pub(in crate::store) fn own(options: Options<DB>, most: usize, prepare: Option<Prepare<DB>>) -> Self {
        // The driver's log of every statement would show keys and results.
        let options = options.disable_statement_logging();
        let [permits, spare] = [most; 2].map(|most| Arc::new(Semaphore::new(most)));
        Self::Own(Arc::new(Own { options, prepare, most, permits, spare, idle: Mutex::default() }))
    }

    /// A connection.
    pub(in crate::store) async fn connect(&self) -> Result<Connected<DB>, Failure> {
        match self {
            // On the heap, as what is below: it is large and deep, and would be in every future of the user.
            Self::Pool(pool) => Ok(Connected::Pool(Box::pin(pool.acquire()).await?)),
            Self::Own(own) => {
                let permit = own.permit().await?;
                let home = home();
                let connection = match own.take_idle(home) {
                    Some(connection) => connection,
                    // Seldom needed.
                    None => Box::pin(own.open()).await?,
                };
                Ok(Connected::Own { connection, home, _permit: permit })
            }
        }
    }

    /// Puts a connection back whose last statement was answered whole. Without this, it is closed: whoever goes in the
    /// middle of a statement leaves an answer behind that the next one would take for its own.
    pub(in crate::store) fn put_back(&self, connected: Connected<DB>) {
        if let (Self::Own(own), Connected::Own { connection, home, .. }) = (self, connected) {
            let mut idle = own.idle();
            idle.push(Idle { connection, since: Instant::now(), home });
            if idle.len() > own.most {
                // One that was spare.
                drop(idle.remove(0));
            }
        }
    }

    /// A connection broke: those that are idle have the same server, and probably its fate.
    pub(in crate::store) fn broke(&self) {
        if let Self::Own(own) = self {
            let dead = std::mem::take(&mut *own.idle());
            drop(dead);
        }
    }
}

impl<DB: Database> Own<DB> {
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let usual = pin!(Arc::clone(&self.permits).acquire_owned());
        let permit = match timer::within(|| PATIENCE, usual).await {
            Some(permit) => permit,
            None => Arc::clone(&self.spare).acquire_owned().await,
        };
        Ok(permit.map_err(|_| sqlx::Error::PoolClosed)?)
    }

    async fn open(&self) -> Result<DB::Connection, Failure> {
        let opening = pin!(async {
            let mut connection = self.options.connect().await?;
            if let Some(prepare) = self.prepare {
                prepare(&mut connection).await?;
            }
            Ok::<_, sqlx::Error>(connection)
        });
        let opened = timer::within(|| LONGEST_OPENING, opening).await;
        Ok(opened.ok_or(Failure::TimedOut(LONGEST_OPENING))??)
    }

    /// How they are opened.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn options(&self) -> &Options<DB> {
        &self.options
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<DB>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one of this runtime that was used last. Where there is none, there is room for a new one.
    fn take_idle(&self, home: Option<Id>) -> Option<DB::Connection> {
        let mut idle = self.idle();
        idle.retain(|one| one.since.elapsed() < LONGEST_IDLE);
        if let Some(last) = idle.iter().rposition(|one| one.home == home) {
            return Some(idle.remove(last).connection);
        }
        // Each one in use has a permit.
        if idle.len() > self.permits.available_permits() {
            drop(idle.remove(0));
        }
        None
    }
}

/// A connection in use.
pub(in crate::store) enum Connected<DB: Database> {
    Own { connection: DB::Connection, home: Option<Id>, _permit: OwnedSemaphorePermit },
    Pool(PoolConnection<DB>),
}

impl<DB: Database> Deref for Connected<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Own { connection, .. } => connection,
            Self::Pool(connection) => connection,
        }
    }
}

impl<DB: Database> DerefMut for Connected<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        match self {
            Self::Own { connection, .. } => connection,
            Self::Pool(connection) => connection,
        }
    }
}
