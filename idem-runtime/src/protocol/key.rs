//! From a value to an encoded key.
//!
//! A single value is its text: `42_u32`, `42_u64` and `"42"` are the same key. A composite key is each part behind a unit
//! separator (0x1F), so that `("a/b", "c")` is not `("a", "b/c")`. Where the text itself holds a separator, or would read
//! as a composite, an escape (0x1B) stands before it: no two keys that differ have one encoding.

mod values;

use std::fmt::{self, Display, Write};

use super::blob::Blob;

const SEPARATOR: u8 = 0x1f;
const ESCAPE: u8 = 0x1b;

/// An encoded idempotency key: what distinguishes one business fact from another within a scope.
///
/// At most [`Key::MAX_LEN`] bytes, binary-safe, compared byte by byte. Made from a value by
/// [`Key::of`].
#[derive(Clone)]
pub struct Key(Blob<46>);

impl Key {
    /// The longest encoded key, in bytes. Long enough for any business key, short enough for the primary key of every
    /// store.
    pub const MAX_LEN: usize = 1024;

    /// The key with these encoded bytes; `None` if there are none of them, or more than [`Key::MAX_LEN`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= Self::MAX_LEN).then(|| Self(Blob::new(bytes)))
    }

    /// Of a call that has no key. No store is ever given it.
    pub(crate) fn empty() -> Self {
        Self(Blob::new(&[]))
    }

    /// Whether there is no key: so in a handler that runs without one.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The key of a value, as a handler's attribute makes it; `None` if it is missing or too long.
    ///
    /// ```
    /// use idem_runtime::store::Key;
    ///
    /// assert_eq!(Key::of(&("tenant", 42)).unwrap().to_string(), "tenant/42");
    /// assert!(Key::of(&None::<u32>).is_none());
    /// ```
    pub fn of(value: &(impl IdempotencyKey + ?Sized)) -> Option<Self> {
        match encode(value) {
            KeyInput::Key(key) => Some(key),
            KeyInput::Missing | KeyInput::TooLong(_) => None,
        }
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

/// A key that was made of one text is that text.
impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// Readable, for a message or a log: the parts of a composite are divided by `/`, and control characters and invalid
/// UTF-8 are escaped.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.as_bytes();
        // A composite begins with a separator.
        for chunk in bytes.strip_prefix(b"\x1f").unwrap_or(bytes).utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    // The separator of composite keys.
                    '\u{1f}' => f.write_str("/")?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => fmt::Write::write_char(f, c)?,
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// A value that can be an idempotency key, or a part of one.
///
/// Implemented for strings, integers, `bool`, `char`, byte strings, `Uuid` (feature `uuid`), references, `Option` and
/// tuples. Not for floats: two of them that print alike can differ, and equal ones can print differently.
///
/// For a type of one's own, pass on to a part of it:
///
/// ```
/// use idem_runtime::{IdempotencyKey, key::{KeyWriter, Written}};
///
/// struct OrderId(u64);
///
/// impl IdempotencyKey for OrderId {
///     fn write_key(&self, key: KeyWriter<'_>) -> Written {
///         self.0.write_key(key)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be an idempotency key",
    label = "this type does not implement `IdempotencyKey`",
    note = "a key is a string, an integer, a `bool`, a `char`, bytes, a `Uuid`, or a tuple of those: use the field that \
            identifies the message, such as `order.id`",
    note = "floats are refused: use an integer (cents, not euros) or `to_bits()`",
    note = "for a type of your own, implement `IdempotencyKey` by passing on to the field that identifies it"
)]
pub trait IdempotencyKey {
    /// Writes the key. A [`KeyWriter`] is used up by what it writes, so that no implementation can write two texts
    /// that run together.
    fn write_key(&self, key: KeyWriter<'_>) -> Written;
}

/// Where a key is written to.
#[derive(Debug)]
pub struct KeyWriter<'a>(&'a mut Buffer);

/// Proof that a key was written.
#[derive(Debug)]
pub struct Written(());

impl KeyWriter<'_> {
    /// The key is this text. Empty is missing.
    pub fn text(self, text: &str) -> Written {
        self.bytes(text.as_bytes())
    }

    /// The key is these bytes. Empty is missing.
    pub fn bytes(self, bytes: &[u8]) -> Written {
        match bytes.first() {
            None => self.0.missing = true,
            Some(&(SEPARATOR | ESCAPE)) => {
                self.0.push(ESCAPE);
                self.0.extend(bytes);
            }
            Some(_) => self.0.extend(bytes),
        }
        Written(())
    }

    /// The key is what this displays. Empty is missing.
    pub fn display(self, value: impl Display) -> Written {
        let mut text = Buffer::default();
        // A `Buffer` takes whatever it is given.
        let _ = write!(text, "{value}");
        self.bytes(text.as_slice())
    }

    /// There is no key.
    pub fn missing(self) -> Written {
        self.0.missing = true;
        Written(())
    }

    /// The key is made of these parts, and missing if one of them is.
    pub fn parts(self, parts: &[&dyn IdempotencyKey]) -> Written {
        for part in parts {
            let mut encoded = Buffer::default();
            part.write_key(KeyWriter(&mut encoded));
            self.0.missing |= encoded.missing;
            self.0.push(SEPARATOR);
            for &byte in encoded.as_slice() {
                if matches!(byte, SEPARATOR | ESCAPE) {
                    self.0.push(ESCAPE);
                }
                self.0.push(byte);
            }
        }
        self.0.missing |= parts.is_empty();
        Written(())
    }
}

/// A key under way: in place while it is short.
#[derive(Debug)]
struct Buffer {
    len: usize,
    short: [u8; 64],
    long: Vec<u8>,
    missing: bool,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { len: 0, short: [0; 64], long: Vec::new(), missing: false }
    }
}

impl Buffer {
    fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end <= self.short.len() {
            self.short[self.len..end].copy_from_slice(bytes);
        } else {
            if self.long.is_empty() {
                self.long.extend_from_slice(&self.short[..self.len]);
            }
            self.long.extend_from_slice(bytes);
        }
        self.len = end;
    }

    fn as_slice(&self) -> &[u8] {
        if self.long.is_empty() { &self.short[..self.len] } else { &self.long }
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend(text.as_bytes());
        Ok(())
    }
}

/// What became of the attribute's `key`.
#[derive(Debug)]
pub enum KeyInput {
    /// `None` or empty, in whole or in part.
    Missing,
    /// More than [`Key::MAX_LEN`] bytes.
    TooLong(usize),
    /// A key.
    Key(Key),
}

impl KeyInput {
    /// The key, where there is one.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Missing | Self::TooLong(_) => None,
        }
    }
}

/// Encodes a key.
pub fn encode<K: IdempotencyKey + ?Sized>(key: &K) -> KeyInput {
    let mut encoded = Buffer::default();
    key.write_key(KeyWriter(&mut encoded));
    if encoded.missing {
        KeyInput::Missing
    } else if encoded.len > Key::MAX_LEN {
        KeyInput::TooLong(encoded.len)
    } else {
        KeyInput::Key(Key(Blob::new(encoded.as_slice())))
    }
}
