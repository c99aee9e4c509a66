//! What is made once in a process is made once in each execution here, or one execution would meet what another left.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Mutex as Lock;

static EXECUTION: AtomicU64 = AtomicU64::new(0);

/// An execution begins.
pub(crate) fn begin() {
    EXECUTION.fetch_add(1, Ordering::Relaxed);
    super::clock::begin();
}

/// Leaked, a little with each execution.
struct Once<T: 'static>(Mutex<Option<(u64, &'static T)>>);

impl<T> Once<T> {
    fn get(&self, init: impl FnOnce() -> T) -> &'static T {
        let execution = EXECUTION.load(Ordering::Relaxed);
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *made {
            Some((of, value)) if of == execution => value,
            _ => made.insert((execution, Box::leak(Box::new(init())))).1,
        }
    }
}

/// Like `once_cell`'s. `init` takes no step.
pub(crate) struct Lazy<T: 'static> {
    once: Once<T>,
    init: fn() -> T,
}

impl<T> Lazy<T> {
    pub(crate) const fn new(init: fn() -> T) -> Self {
        Self { once: Once(Mutex::new(None)), init }
    }
}

impl<T> Deref for Lazy<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.once.get(self.init)
    }
}

/// Like `once_cell`'s: a thread that comes second waits for the first.
pub(crate) struct OnceCell<T: 'static>(Once<Lock<Option<&'static T>>>);

impl<T> OnceCell<T> {
    pub(crate) const fn new() -> Self {
        Self(Once(Mutex::new(None)))
    }

    pub(crate) fn get_or_try_init<E>(&self, init: impl FnOnce() -> Result<T, E>) -> Result<&'static T, E> {
        let lock = self.0.get(|| Lock::new(None));
        let mut made = lock.lock().unwrap_or_else(PoisonError::into_inner);
        match *made {
            Some(value) => Ok(value),
            None => Ok(*made.insert(Box::leak(Box::new(init()?)))),
        }
    }
}
