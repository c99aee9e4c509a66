//! Renews a lease while a body runs, each time after a third of its length.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use crate::error::Shown;
use crate::handler::Site;
use crate::protocol::{ClaimRequest, Key, Owner, RenewRequest, Standing};
use crate::store::IdempotencyStore;
use crate::task::sync::atomic::{AtomicUsize, Ordering};
use crate::task::sync::task::{self, AbortHandle};
use crate::task::sync::{Instant, Lazy, Mutex, MutexGuard, Notify, thread_local};
use crate::task::{background, timer};

/// The end of a lease that is being renewed.
#[derive(Debug)]
pub(crate) struct Tenure(Mutex<Instant>);

impl Tenure {
    pub(crate) fn new(deadline: Instant) -> Self {
        Self(Mutex::new(deadline))
    }

    /// When the lease ends: its length after the sending of the last claim or renewal that was granted.
    pub(crate) fn deadline(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, deadline: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }
}

/// The store answered a renewal or a completion that this call no longer holds the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeaseLost {
    /// Whether the store has no row for the key.
    pub(crate) row_gone: bool,
}

/// When to renew a lease that ends at `deadline`: a third of its length after its claim was sent. That may be over
/// already, if the answer took long.
pub(crate) fn first_due(deadline: Instant, lease: Duration) -> Instant {
    deadline.checked_sub(lease - lease / 3).unwrap_or(deadline)
}

/// Renews a lease for as long as it is polled, from `first` on. Returns once the store says that the lease is lost. If
/// the store fails or doesn't answer, the renewal is tried again.
pub(crate) async fn beat<S: IdempotencyStore>(
    store: &S,
    request: RenewRequest<'_>,
    tenure: &Tenure,
    first: Instant,
) -> LeaseLost {
    let interval = request.lease / 3;
    let mut pause = first.saturating_duration_since(Instant::now());
    loop {
        timer::sleep(pause).await;
        let sent = Instant::now();
        let renewal = pin!(store.renew(request));
        pause = match timer::within(|| interval, renewal).await {
            Some(Ok(Standing::Lost)) => return LeaseLost { row_gone: false },
            Some(Ok(Standing::Gone)) => return LeaseLost { row_gone: true },
            Some(Ok(Standing::Held)) => {
                tenure.extend(sent + request.lease);
                interval.saturating_sub(sent.elapsed())
            }
            Some(Err(error)) => {
                tracing::warn!(scope = request.scope, key = %Shown(Some(request.key)), %error, "a renewal failed, and is tried again");
                interval / 4
            }
            None => {
                tracing::warn!(scope = request.scope, key = %Shown(Some(request.key)), "a renewal had no answer, and is tried again");
                interval / 4
            }
        };
    }
}

/// The heartbeat of a sync handler. The handler's thread is busy with the body, so the background runtime sends the
/// renewals.
///
/// Most bodies end before their first renewal is due. They cost an entry in a list and no task.
pub(crate) struct Beat<S: IdempotencyStore> {
    pulse: Arc<Pulse<S>>,
    list: &'static Beats,
    id: usize,
}

struct Pulse<S> {
    store: S,
    site: &'static Site,
    key: Key,
    owner: Owner,
    fence: u64,
    tenure: Tenure,
}

trait Start: Send + Sync {
    fn start(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

impl<S: IdempotencyStore> Start for Pulse<S> {
    fn start(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut claim = ClaimRequest::new(self.site.scope, &self.key, self.owner, self.site.lease);
            claim.retain = self.site.retain();
            // If the lease is lost, the body goes on: the answer to its completion will say so too.
            let _ = beat(&self.store, RenewRequest::new(&claim, self.fence), &self.tenure, Instant::now()).await;
        })
    }
}

/// Starts a sync handler's heartbeat.
pub(crate) fn register<S: IdempotencyStore>(
    store: &S,
    site: &'static Site,
    key: &Key,
    owner: Owner,
    fence: u64,
    deadline: Instant,
) -> Beat<S> {
    let tenure = Tenure::new(deadline);
    let pulse = Arc::new(Pulse { store: store.clone(), site, key: key.clone(), owner, fence, tenure });
    let due = first_due(deadline, site.lease);
    let list = &BEATS[LIST.with(|list| *list)];
    let id = list.insert(due, Arc::clone(&pulse) as Arc<dyn Start>);
    Beat { pulse, list, id }
}

impl<S: IdempotencyStore> Beat<S> {
    /// Ends the heartbeat, and returns when the lease ends.
    pub(crate) fn finish(self) -> Instant {
        self.pulse.tenure.deadline()
    }
}

impl<S: IdempotencyStore> Drop for Beat<S> {
    fn drop(&mut self) {
        self.list.remove(self.id);
    }
}

/// The number of lists. It is large enough that two threads rarely use the same one.
const LISTS: usize = if cfg!(idem_shuttle) { 1 } else { 16 };

static BEATS: Lazy<[Beats; LISTS]> = Lazy::new(Default::default);

thread_local! {
    /// Which list this thread uses.
    static LIST: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % LISTS
    };
}

/// The sync bodies that run, and when their first renewals are due. Aligned, so that no two lists share a cache line.
#[derive(Default)]
#[repr(align(128))]
struct Beats {
    list: Mutex<List>,
    earlier: Notify,
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    vacant: Vec<usize>,
    /// When the background task looks at the list again. `None`: when it is notified.
    next_look: Option<Instant>,
    watched: bool,
}

enum Entry {
    Vacant,
    Due(Instant, Arc<dyn Start>),
    Beating(AbortHandle),
}

impl Beats {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&'static self, due: Instant, pulse: Arc<dyn Start>) -> usize {
        let mut list = self.list();
        let id = list.vacant.pop().unwrap_or_else(|| {
            list.entries.push(Entry::Vacant);
            list.entries.len() - 1
        });
        list.entries[id] = Entry::Due(due, pulse);
        if !list.watched
            && let Some(background) = background::handle()
        {
            list.watched = true;
            background.spawn(self.watch());
        }
        if list.next_look.is_none_or(|next| due < next) {
            list.next_look = Some(due);
            self.earlier.notify_one();
        }
        id
    }

    fn remove(&self, id: usize) {
        let mut list = self.list();
        if let Entry::Beating(task) = std::mem::replace(&mut list.entries[id], Entry::Vacant) {
            task.abort();
        }
        list.vacant.push(id);
    }

    /// Starts the heartbeats that are due.
    async fn watch(&self) {
        loop {
            let next = self.start_due(Instant::now());
            match next {
                Some(next) => drop(
                    timer::within(|| next.saturating_duration_since(Instant::now()), pin!(self.earlier.notified()))
                        .await,
                ),
                None => self.earlier.notified().await,
            }
        }
    }

    fn start_due(&self, now: Instant) -> Option<Instant> {
        let mut list = self.list();
        let mut next: Option<Instant> = None;
        for entry in &mut list.entries {
            match entry {
                Entry::Due(due, pulse) if *due <= now => {
                    *entry = Entry::Beating(task::spawn(Arc::clone(pulse).start()).abort_handle());
                }
                Entry::Due(due, _) => next = Some(next.map_or(*due, |next| next.min(*due))),
                Entry::Vacant | Entry::Beating(_) => {}
            }
        }
        list.next_look = next;
        next
    }
}
