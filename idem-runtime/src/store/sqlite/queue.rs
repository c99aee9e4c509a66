//! A queue of requests for a thread, which takes many at a time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A queue without a bound of its own. Each caller waits for its answer, so the queue has at most one item for each
/// caller.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    filled: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    sleepers: usize,
    closed: bool,
}

/// The result of [`Queue::drain`].
pub(super) enum Work<T> {
    Items(T),
    /// No item arrived before the deadline.
    Idle,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { items: VecDeque::new(), sleepers: 0, closed: false };
        Self { state: Mutex::new(state), filled: Condvar::new() }
    }

    /// Adds an item. Returns the item if the queue is closed.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed {
            return Err(item);
        }
        state.items.push_back(item);
        let asleep = state.sleepers > 0;
        drop(state);
        if asleep {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Waits for items and moves at most `at_most` of them into `into`, oldest first.
    pub(super) fn drain(&self, into: &mut Vec<T>, at_most: usize, deadline: Option<Instant>) -> Work<()> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if state.closed {
                return Work::Closed;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Work::Idle;
            }
            state.sleepers += 1;
            state = match left {
                Some(left) => self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.sleepers -= 1;
        }
        let count = state.items.len().min(at_most);
        into.extend(state.items.drain(..count));
        Work::Items(())
    }

    /// Closes the queue to new items. Queued items are still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// Closes the queue and drops the queued items, because no thread is left to carry them out.
    pub(super) fn abandon(&self) {
        let items = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.items)
        };
        drop(items);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
