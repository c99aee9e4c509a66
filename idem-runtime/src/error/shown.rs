//! Whether and how events and errors show keys.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};

use once_cell::sync::Lazy;

use crate::protocol::Key;

static KEYS: AtomicBool = AtomicBool::new(true);

/// Sets whether this library's events and errors show keys, in the whole process. By default they do.
///
/// After `log_keys(false)`, they show eight hexadecimal digits in place of a key: in the field `key` of each `tracing`
/// event, and in the text of [`Error`](crate::Error), [`ScopedKey`](crate::ScopedKey) and
/// [`StoreError`](crate::StoreError). The digits are a hash (`SipHash`) of the key and of a secret that each process
/// draws. So everything that happened to one key in one process can be found by its digits, the digits don't reveal the
/// key, and another process shows other digits for it. Two keys have the same digits about once in four billion (2^32)
/// pairs.
///
/// A driver's error can quote a key, as MySQL's `Duplicate entry '...' for key` does. So after `log_keys(false)` a
/// `StoreError` prints only the database's error code, and its [`source`](std::error::Error::source) is `None`, because
/// code that prints an error often prints its sources too. [`StoreError::get_ref`](crate::StoreError::get_ref) always
/// gives the driver's error.
///
/// It changes nothing outside this library's events and errors: a program can still print a [`Key`], its own errors can
/// hold keys, and a driver can log them. No label of a metric ever holds a key.
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

/// Displays a key as events and errors show it; nothing where the call has no key.
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

/// Displays a driver's error: its text where keys are shown, and only its code where they are hidden.
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
