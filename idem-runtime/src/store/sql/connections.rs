//! A SQL store's own connections.

mod comparison;

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::atomic::AtomicBool;
#[cfg(feature = "postgres")]
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use sqlx::Database;
use tokio::runtime::{Handle, Id};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, oneshot};

use self::comparison::{Attempt, Due};
use super::Failure;
use super::opening::Opening;
#[cfg(feature = "postgres")]
use super::opening::Options;
use crate::task::{background, timer};

/// How long a caller waits for a connection while all are in use.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A caller that waits for longer may open a spare connection. The futures that have the others may never be polled,
/// because their threads are blocked.
const PATIENCE: Duration = Duration::from_millis(250);

/// If a request had no answer for so long, its connection may be dead, and the idle ones with it.
const SILENCE: Duration = Duration::from_secs(1);

/// A connection that was idle for longer is not used again: a firewall or the like may have dropped it without notice.
const LONGEST_IDLE: Duration = Duration::from_secs(300);

/// How long the store waits before it asks a server again that has no room for another connection.
const FULL: Duration = Duration::from_secs(5);

/// How long a server may take to see that a connection was closed.
const CLOSING: Duration = Duration::from_secs(1);

/// The pause between attempts to connect while the server may not have seen yet that a connection was closed.
const SOON: Duration = Duration::from_millis(20);

/// A store's own connections. Unlike sqlx's pool, it sends the server no queries of its own, neither when a connection
/// is taken nor when it is put back. A dead connection is found when it is used, and the engine repeats the request.
pub(in crate::store) struct Connections<DB: Database>(Arc<Shared<DB>>);

struct Shared<DB: Database> {
    opening: Opening<DB>,
    most: usize,
    /// One permit for each connection that may be in use. Closed once the store finds out that a pooler mixes up
    /// answers.
    permits: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    shelf: Mutex<Shelf<DB>>,
    /// Whether each connection is known to have a session of its own.
    are_apart: AtomicBool,
    /// Whether the warning that the server gives no more connections has been logged.
    is_told: Once,
}

struct Shelf<DB: Database> {
    idle: Vec<Idle<DB>>,
    /// How many are in use.
    used: usize,
    /// When one was last closed.
    closed_at: Option<Instant>,
    /// When two connections have to be compared; `None` once they have been.
    due: Option<Due>,
}

struct Idle<DB: Database> {
    connection: DB::Connection,
    since: Instant,
    home: Option<Id>,
}

/// The result of opening a connection, and the permit to use it.
type Opened<DB> = (Result<<DB as Database>::Connection, Failure>, OwnedSemaphorePermit);

/// A permit that a task takes when it first runs. If the task never runs, because its runtime is blocked, the caller
/// that waits for it drops the permit.
struct Handover(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

fn take(handed: &Mutex<Option<OwnedSemaphorePermit>>) -> Option<OwnedSemaphorePermit> {
    handed.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Drop for Handover {
    fn drop(&mut self) {
        drop(take(&self.0));
    }
}

impl<DB: Database> Shelf<DB> {
    /// Takes the idle connection of this runtime that was used last.
    fn take(&mut self, home: Option<Id>) -> Option<DB::Connection> {
        let last = self.idle.iter().rposition(|one| one.home == home)?;
        Some(self.idle.remove(last).connection)
    }
}

/// The runtime on which a connection is opened. The connection is used on that runtime only: on another one it would
/// stop whenever its own runtime isn't driven.
fn home() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}

impl<DB: Database> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<DB: Database> Connections<DB> {
    /// Makes a set of at most `most` connections, and as many spare ones. None is opened yet.
    pub(in crate::store) fn new(opening: Opening<DB>, most: usize) -> Self {
        let due = opening.comparing.as_ref().map(|_| Due::now());
        let (usual, spare) = if due.is_some() { (1, 0) } else { (most, most) };
        let [permits, spare] = [usual, spare].map(|permits| Arc::new(Semaphore::new(permits)));
        let shelf = Mutex::new(Shelf { idle: Vec::new(), used: 0, closed_at: None, due });
        Self(Arc::new(Shared {
            opening,
            most,
            permits,
            spare,
            shelf,
            are_apart: AtomicBool::new(false),
            is_told: Once::new(),
        }))
    }

    /// The connect options, as of now.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn options(&self) -> Options<DB> {
        self.0.opening.options()
    }

    /// Whether each connection is known to have a session of its own, which keeps its settings.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn are_apart(&self) -> bool {
        self.0.are_apart.load(Ordering::Acquire)
    }

    /// Takes a connection: an idle one, or a new one.
    pub(in crate::store) async fn connect(&self) -> Result<Connected<DB>, Failure> {
        let shared = &self.0;
        let home = home();
        loop {
            let permit = shared.permit().await?;
            let (connection, permit) = match shared.take_idle(home) {
                Some(connection) => (connection, permit),
                None => match shared.open(home, permit).await? {
                    (Ok(connection), permit) => (connection, permit),
                    (Err(failure), permit) => {
                        // Boxed, because it is rarely needed.
                        Box::pin(shared.makes_do(failure, permit)).await?;
                        continue;
                    }
                },
            };
            let (mut connected, attempt) = shared.lend(connection, home, permit);
            if let Some((attempt, comparing)) = attempt.zip(shared.opening.comparing.as_ref()) {
                // Boxed, because it is rarely needed.
                Box::pin(shared.compare(&mut connected, comparing, attempt)).await?;
            }
            return Ok(connected);
        }
    }

    /// Puts back a connection whose last statement was answered completely. A connection that is dropped instead is
    /// closed: an unread answer may be left on it, which the next statement would take for its own.
    pub(in crate::store) fn put_back(&self, connected: Connected<DB>) {
        let Connected { connection, home, mut used, .. } = connected;
        used.is_answered = true;
        self.0.put_idle(connection, home);
    }

    /// A connection broke. The idle ones lead to the same server and are probably broken too, so they are closed.
    pub(in crate::store) fn broke(&self) {
        self.0.drop_idle();
    }
}

impl<DB: Database> Shared<DB> {
    async fn permit(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(permit),
            // Boxed, because it is rarely needed.
            Err(_) => Box::pin(self.wait_for_permit()).await?,
        };
        permit.map_err(|_| Failure::Pooled)
    }

    async fn wait_for_permit(&self) -> Result<Result<OwnedSemaphorePermit, AcquireError>, Failure> {
        let mut usual = pin!(Arc::clone(&self.permits).acquire_owned());
        if let Some(permit) = timer::within(|| PATIENCE, usual.as_mut()).await {
            return Ok(permit);
        }
        let mut spare = pin!(Arc::clone(&self.spare).acquire_owned());
        // Both are polled: the semaphore may hand a usual permit to this caller, and nobody would use it if the caller
        // polled `spare` only.
        let either = pin!(poll_fn(|cx| match usual.as_mut().poll(cx) {
            Poll::Pending => spare.as_mut().poll(cx),
            permit => permit,
        }));
        timer::within(|| LONGEST_WAIT, either).await.ok_or(Failure::AllInUse(LONGEST_WAIT))
    }

    /// Opens a connection, in a task of its own: if the caller gives up before the connection is open, it becomes idle,
    /// and the next caller finds it. The task takes the permit when it first runs, and holds it while it opens the
    /// connection, even if the caller is dropped.
    async fn open(self: &Arc<Self>, home: Option<Id>, permit: OwnedSemaphorePermit) -> Result<Opened<DB>, Failure> {
        let shared = Arc::clone(self);
        let permit = Handover(Arc::new(Mutex::new(Some(permit))));
        let handed = Arc::clone(&permit.0);
        let (opened, opening) = oneshot::channel();
        tokio::spawn(async move {
            let Some(permit) = take(&handed) else { return };
            // The permit is dropped last, so that the caller that gets it finds the connection.
            if let Err((Ok(connection), _permit)) = opened.send((shared.opening.open().await, permit)) {
                shared.put_idle(connection, home);
            }
        });
        let ended = |_| sqlx::Error::Io(std::io::Error::other("the runtime that opened the connection has ended"));
        Ok(opening.await.map_err(ended)?)
    }

    /// Called when the server has no room for another connection. If connections are in use, the store goes on with
    /// those, and uses one fewer for a while. If none is in use, the idle ones of other runtimes are closed, and the
    /// caller waits a moment until the server has seen that; if none was closed lately, the failure is returned.
    async fn makes_do(&self, failure: Failure, permit: OwnedSemaphorePermit) -> Result<(), Failure> {
        if !failure.is_said_by(self.opening.is_full) {
            return Err(failure);
        }
        if self.shelf().used > 0 {
            self.makes_do_with_fewer(&failure);
            if let Some(runtime) = background::handle() {
                drop(runtime.spawn(async move {
                    timer::sleep(FULL).await;
                    drop(permit);
                }));
            }
            return Ok(());
        }
        self.drop_idle();
        if self.shelf().closed_at.is_none_or(|closed| closed.elapsed() >= CLOSING) {
            return Err(failure);
        }
        timer::sleep(SOON).await;
        Ok(())
    }

    /// Hands out a connection. Also says whether it has to be compared with another one before it is used.
    fn lend(
        self: &Arc<Self>,
        connection: DB::Connection,
        home: Option<Id>,
        permit: OwnedSemaphorePermit,
    ) -> (Connected<DB>, Option<Attempt>) {
        let mut shelf = self.shelf();
        shelf.used += 1;
        let attempt = shelf.due.as_mut().and_then(Due::begin);
        drop(shelf);
        let used = Use { shared: Arc::clone(self), since: Instant::now(), is_answered: false };
        (Connected { connection, home, used, _permit: permit }, attempt)
    }

    fn makes_do_with_fewer(&self, failure: &Failure) {
        self.is_told.call_once(|| {
            tracing::warn!(
                ?failure,
                "the store gets no further connection from the database: it goes on with those that it has, and is slower"
            );
        });
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<DB>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_idle(&self, connection: DB::Connection, home: Option<Id>) {
        let mut shelf = self.shelf();
        shelf.idle.push(Idle { connection, since: Instant::now(), home });
        // There may be spare ones.
        let surplus = (shelf.idle.len() > self.most).then(|| shelf.idle.remove(0));
        if surplus.is_some() {
            shelf.closed_at = Some(Instant::now());
        }
        drop(shelf);
        drop(surplus);
    }

    fn drop_idle(&self) {
        let mut shelf = self.shelf();
        let dead = std::mem::take(&mut shelf.idle);
        if !dead.is_empty() {
            shelf.closed_at = Some(Instant::now());
        }
        drop(shelf);
        drop(dead);
    }

    /// The idle connection of this runtime that was used last. If there is none, makes sure that there is room for a
    /// new one.
    fn take_idle(&self, home: Option<Id>) -> Option<DB::Connection> {
        let mut shelf = self.shelf();
        let were = shelf.idle.len();
        shelf.idle.retain(|one| one.since.elapsed() < LONGEST_IDLE);
        if shelf.idle.len() < were {
            shelf.closed_at = Some(Instant::now());
        }
        if let Some(last) = shelf.take(home) {
            return Some(last);
        }
        // Each connection in use has a permit.
        if shelf.idle.len() > self.permits.available_permits() {
            drop(shelf.idle.remove(0));
            shelf.closed_at = Some(Instant::now());
        }
        None
    }
}

/// A connection in use.
pub(in crate::store) struct Connected<DB: Database> {
    connection: DB::Connection,
    home: Option<Id>,
    used: Use<DB>,
    _permit: OwnedSemaphorePermit,
}

/// Which set the connection belongs to, and since when it is in use.
struct Use<DB: Database> {
    shared: Arc<Shared<DB>>,
    since: Instant,
    is_answered: bool,
}

impl<DB: Database> Drop for Use<DB> {
    fn drop(&mut self) {
        let mut shelf = self.shared.shelf();
        shelf.used -= 1;
        if !self.is_answered {
            shelf.closed_at = Some(Instant::now());
        }
        drop(shelf);
        if !self.is_answered && self.since.elapsed() >= SILENCE {
            self.shared.drop_idle();
        }
    }
}

impl<DB: Database> Deref for Connected<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<DB: Database> DerefMut for Connected<DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}
