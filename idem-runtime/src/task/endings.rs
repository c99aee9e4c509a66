//! Counts the endings that this process carries out in the background.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::PoisonError;

use super::quiet::quietly;
use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{Instant, Mutex, MutexGuard, Notified, Notify};

static ENDINGS: Mutex<Endings> = Mutex::new(Endings { under_way: 0, given_up: BinaryHeap::new() });

/// Notified when no ending is under way any more.
static NONE_UNDER_WAY: Notify = Notify::const_new();

struct Endings {
    under_way: usize,
    /// When the lease of each ending that was given up is over.
    given_up: BinaryHeap<Reverse<Instant>>,
}

impl Endings {
    fn lock() -> MutexGuard<'static, Self> {
        ENDINGS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_what_is_over(&mut self) {
        let now = Instant::now();
        while self.given_up.peek().is_some_and(|lease_over| lease_over.0 <= now) {
            self.given_up.pop();
        }
    }
}

pub(super) fn left() -> usize {
    let mut endings = Endings::lock();
    endings.forget_what_is_over();
    endings.under_way + endings.given_up.len()
}

/// What to wait for, until no ending is left.
pub(super) enum Expected {
    Nothing,
    /// Some endings are under way.
    Answers,
    /// All endings that are left were given up. The last of their leases ends then.
    LeaseOver(Instant),
}

pub(super) fn expected() -> Expected {
    let mut endings = Endings::lock();
    endings.forget_what_is_over();
    match endings.given_up.iter().map(|lease_over| lease_over.0).max() {
        _ if endings.under_way > 0 => Expected::Answers,
        None => Expected::Nothing,
        Some(last) => Expected::LeaseOver(last),
    }
}

/// Ready when no ending is under way any more.
pub(super) fn none_under_way() -> Notified<'static> {
    NONE_UNDER_WAY.notified()
}

/// An ending in the background. It is counted from its creation until it is dropped. If it isn't settled then, it was
/// given up, and is counted until its lease is over.
pub(crate) struct UnderWay {
    lease_over: Instant,
    settled: AtomicBool,
}

impl UnderWay {
    pub(crate) fn new(lease_over: Instant) -> Self {
        Endings::lock().under_way += 1;
        Self { lease_over, settled: AtomicBool::new(false) }
    }

    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut endings = Endings::lock();
        endings.forget_what_is_over();
        if !*self.settled.get_mut() {
            endings.given_up.push(Reverse(self.lease_over));
        }
        endings.under_way -= 1;
        if endings.under_way == 0 {
            drop(endings);
            // A waker belongs to some executor, and may panic.
            quietly(|| NONE_UNDER_WAY.notify_waiters());
        }
    }
}
