//! Receiving notifications from the server that a key was completed or released. Each store has one connection for it,
//! made at the first wait.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::Stream;
use redis::RedisResult;
use redis::aio::PubSubStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::failure::Failure;
use super::link::Source;
use super::names;
use crate::store::notifiers::Notifiers;
use crate::task::{background, timer};

/// How long a wait waits for a subscription before it polls instead.
const SUBSCRIBING: Duration = Duration::from_millis(100);

/// The listener of a store. Dropping it ends its task.
pub(super) struct Listener {
    source: Option<Arc<Source>>,
    heard: Arc<Heard>,
    task: Mutex<Option<UnboundedSender<usize>>>,
}

/// What the listening task shares with the waiters.
struct Heard {
    prefix: Arc<[u8]>,
    notifiers: Arc<Notifiers>,
    /// One bit for each subscribed channel.
    channels: AtomicU64,
    /// Whether the last attempt to listen failed.
    deaf: AtomicBool,
    changed: Notify,
}

impl Listener {
    /// Makes a listener without a task. Without a source, it never starts one.
    pub(super) fn new(source: Option<Arc<Source>>, prefix: Arc<[u8]>, notifiers: Arc<Notifiers>) -> Self {
        let heard = Heard {
            prefix,
            notifiers,
            channels: AtomicU64::new(0),
            deaf: AtomicBool::new(false),
            changed: Notify::new(),
        };
        Self { source, heard: Arc::new(heard), task: Mutex::new(None) }
    }

    /// Subscribes to a channel. Returns whether the subscription works by now.
    pub(super) async fn listen(&self, channel: usize) -> bool {
        if self.heard.has(channel) {
            return true;
        }
        if !self.ask(channel) {
            return false;
        }
        let deadline = Instant::now() + SUBSCRIBING;
        loop {
            let mut changed = pin!(self.heard.changed.notified());
            changed.as_mut().enable();
            if self.heard.has(channel) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.heard.deaf.load(Ordering::Acquire) {
                return false;
            }
            timer::within(|| left, changed).await;
        }
    }

    /// Asks the task to subscribe to a channel. Starts the task if none runs.
    fn ask(&self, channel: usize) -> bool {
        let Some(source) = &self.source else { return false };
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| task.send(channel).is_ok()) {
            return true;
        }
        // On the background runtime, because the caller's may end before the store.
        let Some(runtime) = background::handle() else { return false };
        let (sender, wanted) = unbounded_channel();
        let asked = sender.send(channel).is_ok();
        runtime.spawn(attend(Arc::clone(source), Arc::clone(&self.heard), wanted));
        *task = Some(sender);
        asked
    }
}

impl Heard {
    fn has(&self, channel: usize) -> bool {
        self.channels.load(Ordering::Acquire) & (1 << channel) != 0
    }

    fn subscribed(&self, channel: usize) {
        self.channels.fetch_or(1 << channel, Ordering::Release);
        self.deaf.store(false, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Notifications are missed from here on, so all waiters look.
    fn lost(&self) {
        self.channels.store(0, Ordering::Release);
        self.deaf.store(true, Ordering::Release);
        self.changed.notify_waiters();
        self.notifiers.notify_all();
    }
}

/// The task: listens, and connects again after the connection broke, until the store is dropped.
async fn attend(source: Arc<Source>, heard: Arc<Heard>, mut wanted: UnboundedReceiver<usize>) {
    let mut channels = BTreeSet::new();
    let mut pause = Duration::from_millis(50);
    loop {
        let ended = session(&source, &heard, &mut wanted, &mut channels).await;
        let worked = heard.channels.load(Ordering::Acquire) != 0;
        heard.lost();
        match ended {
            Ok(()) => return,
            // The store was dropped, and its server may be gone too.
            Err(_) if wanted.is_closed() => return,
            Err(error) => {
                let error = Failure::from(error);
                tracing::debug!(%error, "no notifications arrive from Redis: waiting calls poll");
            }
        }
        pause = if worked { Duration::from_millis(50) } else { (pause * 2).min(Duration::from_secs(5)) };
        timer::sleep(pause).await;
    }
}

/// What happens during a session.
enum Event {
    /// The key of this row was completed or released.
    Told(Vec<u8>),
    Wanted(usize),
    Broken,
    /// The store was dropped.
    Gone,
}

/// Listens on one connection. Returns `Ok` after the store was dropped.
async fn session(
    source: &Source,
    heard: &Heard,
    wanted: &mut UnboundedReceiver<usize>,
    channels: &mut BTreeSet<usize>,
) -> RedisResult<()> {
    let (mut sink, mut stream) = source.client().await?.get_async_pubsub().await?.split();
    for channel in &*channels {
        sink.subscribe(names::channel(&heard.prefix, *channel)).await?;
        heard.subscribed(*channel);
    }
    loop {
        match next(&mut stream, wanted).await {
            Event::Told(name) => {
                if let Some((scope, key)) = names::parse(&heard.prefix, &name) {
                    heard.notifiers.notify(&scope, &key);
                }
            }
            Event::Wanted(channel) => {
                if channels.insert(channel) {
                    sink.subscribe(names::channel(&heard.prefix, channel)).await?;
                }
                heard.subscribed(channel);
            }
            Event::Broken => return Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
            Event::Gone => return Ok(()),
        }
    }
}

async fn next(stream: &mut PubSubStream, wanted: &mut UnboundedReceiver<usize>) -> Event {
    poll_fn(|cx| {
        if let Poll::Ready(message) = Pin::new(&mut *stream).poll_next(cx) {
            let told = message.map(|message| message.get_payload_bytes().to_vec());
            return Poll::Ready(told.map_or(Event::Broken, Event::Told));
        }
        wanted.poll_recv(cx).map(|channel| channel.map_or(Event::Gone, Event::Wanted))
    })
    .await
}
