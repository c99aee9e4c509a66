//! What events and errors show of keys.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::sync::Lazy;

use crate::protocol::Key;

static KEYS: AtomicBool = AtomicBool::new(true);

/// Whether this library's events and errors show keys, in the whole process. They do unless they are told not to.
///
/// After `log_keys(false)`, eight hexadecimal digits stand for a key: in the field `key` of each `tracing` event, and in what
/// [`Error`](crate::Error), [`ScopedKey`](crate::ScopedKey) and [`StoreError`](crate::StoreError) print. They are of a hash
/// (`SipHash`) that a secret of the process goes into. So all that happened to one key in one process can be found by its
/// digits, nobody learns the key from them, and another process has other digits for it. About one pair in four billion
/// (2^32) has the same digits.
///
/// A driver's error can quote a key, as MySQL's `Duplicate entry '...' for key` does. After `log_keys(false)` only the
/// database's code of it is printed, and [`source`](std::error::Error::source) of a `StoreError` is `None`, as whoever prints
/// an error often prints its sources too. [`StoreError::get_ref`](crate::StoreError::get_ref) has the driver's error at any
/// time.
///
/// What isn't this library's is as before: the `Display` of a [`Key`] that a program prints itself, its own errors, and what
/// a driver logs by itself. Metrics have no label with a key in either case.
///
/// ```
/// use idem_runtime::store::Key;
/// use idem_runtime::{ScopedKey, log_keys};
///
/// let key = ScopedKey::new("shop::charge", &Key::of("alice@example.com").unwrap());
/// assert_eq!(key.to_string(), "key `alice@example.com` in scope `shop::charge`");
/// log_keys(false);
/// assert!(!key.to_string().contains("alice"));
/// ```
pub fn log_keys(shown: bool) {
    KEYS.store(shown, Ordering::Relaxed);
}

pub(crate) fn shows_keys() -> bool {
    KEYS.load(Ordering::Relaxed)
}

/// A key as events and errors show it; nothing where a call has none.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'k>(pub(crate) Option<&'k Key>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(key) if shows_keys() => key.fmt(f),
            Some(key) => write!(f, "{:08x}", digest(key)),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "eight digits are shown")]
fn digest(key: &Key) -> u32 {
    static SECRET: Lazy<RandomState> = Lazy::new(RandomState::new);
    SECRET.hash_one(key.as_bytes()) as u32
}

/// What a driver says, where keys are shown; else its code alone.
pub(crate) struct Words<'e, T: ?Sized> {
    pub(crate) text: &'e T,
    pub(crate) code: Option<&'e str>,
}

impl<T: fmt::Display + ?Sized> fmt::Display for Words<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            _ if shows_keys() => self.text.fmt(f),
            Some(code) => write!(f, "error {code}, whose text can quote keys, which `log_keys` hides"),
            None => f.write_str("an error whose text can quote keys, which `log_keys` hides"),
        }
    }
}
