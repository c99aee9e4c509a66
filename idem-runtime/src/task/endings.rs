//! The endings of this process that go on behind their callers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::quiet::quietly;

static ENDINGS: Mutex<Endings> = Mutex::new(Endings { under_way: 0, given_up: BinaryHeap::new() });

/// Tells that none is under way.
static NONE_UNDER_WAY: Notify = Notify::const_new();

struct Endings {
    under_way: usize,
    /// When the leases are over of those that were given up.
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

/// What there is to wait for until none is left.
pub(super) enum Expected {
    Nothing,
    /// Some are under way.
    Answers,
    /// All that are left were given up: the last of their leases.
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

/// Tells that none is under way any more.
pub(super) fn none_under_way() -> Notified<'static> {
    NONE_UNDER_WAY.notified()
}

/// An ending that goes on behind its caller. It is counted from here until it is dropped; where it isn't settled then, it
/// is given up, and counted until its lease is over.
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
            // Wakers are of any executor.
            quietly(|| NONE_UNDER_WAY.notify_waiters());
        }
    }
}
