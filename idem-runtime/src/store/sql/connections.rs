//! Where a SQL store's connections come from: its own few, or the user's pool.

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{ConnectOptions, Connection, Database, Pool};
use tokio::runtime::{Handle, Id};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot};

use super::Failure;
use crate::timer;

/// How long opening a connection takes at most: whatever listens at the address may never say a word.
const LONGEST_OPENING: Duration = Duration::from_secs(5);

/// Who waits for a connection for longer gets a spare one: those in use may be with futures that nobody polls, as their
/// threads are blocked.
const PATIENCE: Duration = Duration::from_millis(250);

/// Where a request had no answer for so long, its connection may have gone silent, and those that are idle with it.
const SILENCE: Duration = Duration::from_secs(1);

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
                    None => own.open(home).await?,
                };
                let used = Use { own: Arc::clone(own), since: Instant::now(), is_answered: false };
                Ok(Connected::Own { connection, home, used, _permit: permit })
            }
        }
    }

    /// Puts a connection back whose last statement was answered whole. Without this, it is closed: whoever goes in the
    /// middle of a statement leaves an answer behind that the next one would take for its own.
    pub(in crate::store) fn put_back(&self, connected: Connected<DB>) {
        if let Connected::Own { connection, home, mut used, .. } = connected {
            used.is_answered = true;
            used.own.put_idle(connection, home);
        }
    }

    /// A connection broke: those that are idle have the same server, and probably its fate.
    pub(in crate::store) fn broke(&self) {
        if let Self::Own(own) = self {
            own.drop_idle();
        }
    }
}

impl<DB: Database> Own<DB> {
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(permit),
            // On the heap: seldom needed.
            Err(_) => Ok(Box::pin(self.wait_for_permit()).await.map_err(|_| sqlx::Error::PoolClosed)?),
        }
    }

    async fn wait_for_permit(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        let mut usual = pin!(Arc::clone(&self.permits).acquire_owned());
        if let Some(permit) = timer::within(|| PATIENCE, usual.as_mut()).await {
            return permit;
        }
        let mut spare = pin!(Arc::clone(&self.spare).acquire_owned());
        // A usual one that is given to who waits in its queue is lost on whom it finds asleep.
        poll_fn(|cx| match usual.as_mut().poll(cx) {
            Poll::Pending => spare.as_mut().poll(cx),
            permit => permit,
        })
        .await
    }

    /// In a task of its own: whoever asks may have less time than it takes, and then the next one finds it.
    async fn open(self: &Arc<Self>, home: Option<Id>) -> Result<DB::Connection, Failure> {
        let own = Arc::clone(self);
        let (opened, opening) = oneshot::channel();
        tokio::spawn(async move {
            if let Err(Ok(connection)) = opened.send(own.connect().await) {
                own.put_idle(connection, home);
            }
        });
        let ended =
            || Err(sqlx::Error::Io(std::io::Error::other("the runtime that opened the connection has ended")).into());
        opening.await.unwrap_or_else(|_| ended())
    }

    async fn connect(&self) -> Result<DB::Connection, Failure> {
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

    fn put_idle(&self, connection: DB::Connection, home: Option<Id>) {
        let mut idle = self.idle();
        idle.push(Idle { connection, since: Instant::now(), home });
        // There were spare ones.
        let surplus = (idle.len() > self.most).then(|| idle.remove(0));
        drop(idle);
        drop(surplus);
    }

    fn drop_idle(&self) {
        let dead = std::mem::take(&mut *self.idle());
        drop(dead);
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
    Own { connection: DB::Connection, home: Option<Id>, used: Use<DB>, _permit: OwnedSemaphorePermit },
    Pool(PoolConnection<DB>),
}

/// Where it came from, and since when it is away.
pub(in crate::store) struct Use<DB: Database> {
    own: Arc<Own<DB>>,
    since: Instant,
    is_answered: bool,
}

impl<DB: Database> Drop for Use<DB> {
    fn drop(&mut self) {
        if !self.is_answered && self.since.elapsed() >= SILENCE {
            self.own.drop_idle();
        }
    }
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
