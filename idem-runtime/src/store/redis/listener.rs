//! Hearing from the server that a key changed hands: one connection a store, made at the first wait.

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

/// How long a wait lets a subscription take before it goes on without.
const SUBSCRIBING: Duration = Duration::from_millis(100);

/// Who listens for a store. Dropping it ends the task that does.
pub(super) struct Listener {
    source: Option<Arc<Source>>,
    heard: Arc<Heard>,
    task: Mutex<Option<UnboundedSender<usize>>>,
}

/// What the listening task shares with those who wait.
struct Heard {
    prefix: Arc<[u8]>,
    notifiers: Arc<Notifiers>,
    /// A bit for each channel that is subscribed to.
    channels: AtomicU64,
    /// Whether the last attempt to listen failed.
    deaf: AtomicBool,
    changed: Notify,
}

impl Listener {
    /// Nobody listens yet; without a source, nobody ever does.
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

    /// Listens to a channel; says whether it does by now.
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

    /// Has the task listen to a channel, and starts it if none runs.
    fn ask(&self, channel: usize) -> bool {
        let Some(source) = &self.source else { return false };
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| task.send(channel).is_ok()) {
            return true;
        }
        // On the background runtime: the caller's may end before the store.
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

    /// What was told from here on is missed: everybody looks.
    fn lost(&self) {
        self.channels.store(0, Ordering::Release);
        self.deaf.store(true, Ordering::Release);
        self.changed.notify_waiters();
        self.notifiers.notify_all();
    }
}

/// Listens, and connects again where the connection broke, until the store is gone.
async fn attend(source: Arc<Source>, heard: Arc<Heard>, mut wanted: UnboundedReceiver<usize>) {
    let mut channels = BTreeSet::new();
    let mut pause = Duration::from_millis(50);
    loop {
        let ended = session(&source, &heard, &mut wanted, &mut channels).await;
        let worked = heard.channels.load(Ordering::Acquire) != 0;
        heard.lost();
        match ended {
            Ok(()) => return,
            // The store is gone, and so perhaps is its server.
            Err(_) if wanted.is_closed() => return,
            Err(error) => {
                let error = Failure::from(error);
                tracing::debug!(%error, "no news from Redis: waiting calls look by themselves");
            }
        }
        pause = if worked { Duration::from_millis(50) } else { (pause * 2).min(Duration::from_secs(5)) };
        timer::sleep(pause).await;
    }
}

/// What a session meets.
enum Event {
    /// The row with this name changed hands.
    Told(Vec<u8>),
    Wanted(usize),
    Broken,
    /// The store is gone.
    Gone,
}

/// Listens on one connection: `Ok` once the store is gone.
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
