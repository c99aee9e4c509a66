//! Connections to a server, and connecting again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionManager, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::runtime::{Handle, Id};

#[cfg(feature = "redis-sentinel")]
use super::failure::timed_out;
use super::failure::{is_astray, is_unanswered};
use super::timeouts::{ANSWERING, CONNECTING};
use crate::task::timer;

/// How long a request tries to connect. Its caller has a deadline too.
const RECONNECTING: Duration = Duration::from_secs(2);

/// A connection that all handles share, with pipelined requests.
#[derive(Clone)]
pub(super) enum Link {
    /// The store's own.
    Line(Arc<Line>),
    /// The user's, which reconnects by itself.
    Manager(ConnectionManager),
    /// The user's, to a cluster.
    #[cfg(feature = "redis-cluster")]
    Cluster(super::cluster::Cluster),
}

impl Link {
    /// Sends a command once.
    pub(super) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Line(line) => {
                let mut open = line.open().await?;
                let asked = Asked::now(line, open.number);
                asked.heed(command.query_async(&mut open.connection).await, |_| false)
            }
            Self::Manager(manager) => command.query_async(&mut manager.clone()).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.send(command).await,
        }
    }

    /// Sends commands once, in order.
    pub(super) async fn send_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Self::Line(line) => {
                let mut open = line.open().await?;
                let asked = Asked::now(line, open.number);
                asked.heed(pipeline.query_async(&mut open.connection).await, |answers| any_astray(answers))
            }
            Self::Manager(manager) => pipeline.query_async(&mut manager.clone()).await,
            #[cfg(feature = "redis-cluster")]
            Self::Cluster(cluster) => cluster.send_all(pipeline).await,
        }
    }
}

/// How a server is found.
pub(super) enum Source {
    /// By its address.
    Client(Box<Client>),
    /// By asking the sentinels.
    #[cfg(feature = "redis-sentinel")]
    Sentinel(Box<tokio::sync::Mutex<redis::sentinel::SentinelClient>>),
}

impl Source {
    pub(super) async fn client(&self) -> RedisResult<Client> {
        match self {
            Self::Client(client) => Ok(Client::clone(client)),
            #[cfg(feature = "redis-sentinel")]
            Self::Sentinel(sentinel) => {
                let mut sentinel = sentinel.lock().await;
                let asked = std::pin::pin!(sentinel.async_get_client());
                timer::within(|| CONNECTING, asked).await.unwrap_or_else(|| Err(timed_out()))
            }
        }
    }
}

/// A request that is dropped after it had no answer for so long takes its connection for dead, and the next request
/// makes a new one. Other requests on the old connection go on.
const SILENCE: Duration = Duration::from_secs(1);

/// How many connections are kept, one for each runtime. The store isn't notified when a runtime ends and its connection
/// closes.
const RUNTIMES: usize = 256;

/// A connection for each runtime. A new one is made if it broke, if the server doesn't answer, and if the server turns
/// out to be a replica: another server may be the primary now.
pub(super) struct Line {
    source: Arc<Source>,
    config: AsyncConnectionConfig,
    silence: Duration,
    state: Mutex<State>,
    opened: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The oldest first.
    open: Vec<Open>,
    /// The lock of the request that connects, for each runtime. It isn't shared between runtimes, because a request
    /// stops while its runtime isn't driven.
    turns: Vec<(Option<Id>, Arc<tokio::sync::Mutex<()>>)>,
    /// The last failure to connect, with its time and its runtime.
    failed: Option<(Instant, Option<Id>, RedisError)>,
}

/// An open connection.
#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    number: u64,
    /// The runtime that drives it. Requests of another runtime would stop whenever this one isn't driven.
    home: Option<Id>,
}

impl State {
    fn open(&self, home: Option<Id>) -> Option<Open> {
        self.open.iter().find(|open| open.home == home).cloned()
    }

    fn turn(&mut self, home: Option<Id>) -> Arc<tokio::sync::Mutex<()>> {
        self.turns.retain(|(_, turn)| Arc::strong_count(turn) > 1);
        match self.turns.iter().find(|(other, _)| *other == home) {
            Some((_, turn)) => Arc::clone(turn),
            None => {
                let turn = Arc::default();
                self.turns.push((home, Arc::clone(&turn)));
                turn
            }
        }
    }
}

impl Line {
    /// Makes a line to the server of `source`, without connecting yet. Its requests can take `longer` than usual.
    pub(super) fn new(source: Arc<Source>, longer: Duration) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECTING))
            .set_response_timeout(Some(ANSWERING.saturating_add(longer)));
        let silence = SILENCE.saturating_add(longer);
        Self { source, config, silence, state: Mutex::default(), opened: AtomicU64::new(0) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection of this runtime. One request makes it. The others wait for that one, and get its error if
    /// it fails.
    async fn open(&self) -> RedisResult<Open> {
        let home = Handle::try_current().ok().map(|runtime| runtime.id());
        if let Some(open) = self.state().open(home) {
            return Ok(open);
        }
        let asked = Instant::now();
        let turn = self.state().turn(home);
        let _turn = turn.lock().await;
        {
            let state = self.state();
            if let Some(open) = state.open(home) {
                return Ok(open);
            }
            if let Some((when, whose, error)) = &state.failed
                && *when >= asked
                && *whose == home
            {
                return Err(error.clone());
            }
        }
        let mut pause = Duration::from_millis(10);
        loop {
            match self.connect().await {
                Ok(connection) => {
                    let open = Open { connection, number: self.opened.fetch_add(1, Ordering::Relaxed), home };
                    let mut state = self.state();
                    if state.open.len() >= RUNTIMES {
                        state.open.remove(0);
                    }
                    state.open.push(open.clone());
                    return Ok(open);
                }
                Err(error) if asked.elapsed() + pause >= RECONNECTING || !may_pass(&error) => {
                    self.state().failed = Some((Instant::now(), home, error.clone()));
                    return Err(error);
                }
                Err(_) => timer::sleep(pause).await,
            }
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let client = self.source.client().await?;
        // Boxed: unboxed, the future nests deeper than the compiler's limit in a caller's future.
        Box::pin(client.get_multiplexed_async_connection_with_config(&self.config)).await
    }

    fn give_up(&self, number: u64) {
        self.state().open.retain(|open| open.number != number);
    }
}

/// A request that waits for its answer. Depending on the answer, the line gives the connection up.
struct Asked<'l> {
    line: &'l Line,
    connection: u64,
    since: Instant,
    answered: bool,
}

impl<'l> Asked<'l> {
    fn now(line: &'l Line, connection: u64) -> Self {
        Self { line, connection, since: Instant::now(), answered: false }
    }

    fn heed<T>(mut self, answer: RedisResult<T>, holds_astray: fn(&T) -> bool) -> RedisResult<T> {
        self.answered = true;
        if answer.as_ref().map_or_else(is_astray, holds_astray) {
            self.line.give_up(self.connection);
        }
        answer
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.answered && self.since.elapsed() >= self.line.silence {
            self.line.give_up(self.connection);
        }
    }
}

/// Whether one of these answers, of a pipeline that ignores errors, says that this is the wrong server.
fn any_astray(answers: &[Value]) -> bool {
    answers.iter().any(|answer| match answer {
        Value::ServerError(error) => is_astray(&error.clone().into()),
        _ => false,
    })
}

/// Whether another attempt to connect can succeed soon. It can't if the server has refused, for example because the
/// database doesn't exist, or if the server isn't Redis.
fn may_pass(error: &RedisError) -> bool {
    is_unanswered(error) && error.kind() != ErrorKind::Parse
}
