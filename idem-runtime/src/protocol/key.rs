//! How a value becomes an encoded key.
//!
//! A single value is encoded as its text, so `42_u32`, `42_u64` and `"42"` are the same key. In a composite key, a unit
//! separator (0x1F) stands before each part, so `("a/b", "c")` is not `("a", "b/c")`. An escape (0x1B) stands before
//! text that itself holds a separator or that would read as a composite key. So two different keys never have the same
//! encoding.

mod values;

use std::fmt::{self, Display, Write};

use super::blob::Blob;

const SEPARATOR: u8 = 0x1f;
const ESCAPE: u8 = 0x1b;

/// An encoded idempotency key. Within a scope, it tells one business fact, such as an order, from another.
///
/// It has at most [`Key::MAX_LEN`] bytes of any value, and is compared byte by byte. [`Key::of`] makes it from a value.
#[derive(Clone)]
pub struct Key(Blob<46>);

impl Key {
    /// The longest encoded key, in bytes. It fits into the primary key of every store.
    pub const MAX_LEN: usize = 1024;

    /// The key with these encoded bytes; `None` if there are none of them, or more than [`Key::MAX_LEN`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty() && bytes.len() <= Self::MAX_LEN).then(|| Self(Blob::new(bytes)))
    }

    /// The key of a call that has none. It is never sent to a store.
    pub(crate) fn empty() -> Self {
        Self(Blob::new(&[]))
    }

    /// Whether there is no key. That is so in a handler that runs without one.
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// The key of a value, encoded as the attribute `#[idempotent]` does it. `None` if the key is missing or too long.
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
            KeyInput::Missing(_) | KeyInput::TooLong(_) => None,
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

/// A key that was made from one text is equal to that text, unless the text begins with a separator or an escape.
impl PartialEq<str> for Key {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

/// Shows the key readably, for messages and logs: with `/` between the parts of a composite key, and with control
/// characters and invalid UTF-8 escaped.
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
/// It is implemented for strings, integers, `bool`, `char`, byte strings, `Uuid` (feature `uuid`), references, `Option`
/// and tuples. It isn't for floats, because different floats can print alike and equal floats can print differently.
///
/// For a type of your own, pass on to the field that identifies it:
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
            identifies the message, such as `order.id`, or convert it, such as `url.as_str()`, `id.to_string()` or, for the value of a header, \
            `headers.get(\"idempotency-key\").map(HeaderValue::as_bytes)`",
    note = "for a list, or a message without an id, use `idem_runtime::key::digest(&(&order.sku, order.count))`, with the \
            fields that say what is asked for",
    note = "floats are refused: use an integer (cents, not euros) or `to_bits()`",
    note = "for a type of your own, implement `IdempotencyKey` by passing on to the field that identifies it"
)]
pub trait IdempotencyKey {
    /// Writes the key. Each method of [`KeyWriter`] consumes the writer, so an implementation can't write two texts in
    /// a row, which would run together.
    fn write_key(&self, key: KeyWriter<'_>) -> Written;
}

/// What [`IdempotencyKey::write_key`] writes a key to.
#[derive(Debug)]
pub struct KeyWriter<'a>(&'a mut Buffer);

/// What each method of [`KeyWriter`] returns: the proof that a key was written.
#[derive(Debug)]
pub struct Written(());

impl KeyWriter<'_> {
    /// The key is this text. If it is empty, the key is missing.
    pub fn text(self, text: &str) -> Written {
        self.bytes(text.as_bytes())
    }

    /// The key is these bytes. If there are none, the key is missing.
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

    /// The key is the text that this value displays. If it is empty, the key is missing.
    pub fn display(self, value: impl Display) -> Written {
        let mut text = Buffer::default();
        // Writing to a `Buffer` never fails.
        let _ = write!(text, "{value}");
        if text.is_too_long() {
            self.0.extend_beyond(&text);
            return Written(());
        }
        self.bytes(text.as_slice())
    }

    /// There is no key.
    pub fn missing(self) -> Written {
        self.0.missing = true;
        Written(())
    }

    /// The key is composed of these parts. If one of them is missing, the key is missing.
    pub fn parts(self, parts: &[&dyn IdempotencyKey]) -> Written {
        for (index, part) in parts.iter().enumerate() {
            let mut encoded = Buffer::default();
            part.write_key(KeyWriter(&mut encoded));
            if encoded.missing && !self.0.missing {
                self.0.missing = true;
                self.0.missing_part = Some(index);
            }
            self.0.push(SEPARATOR);
            if encoded.is_too_long() {
                self.0.extend_beyond(&encoded);
                continue;
            }
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

/// A key while it is being written. It is stored in place while it is short.
#[derive(Debug)]
struct Buffer {
    len: usize,
    short: [u8; 64],
    long: Vec<u8>,
    missing: bool,
    /// The index of the first part that is missing.
    missing_part: Option<usize>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { len: 0, short: [0; 64], long: Vec::new(), missing: false, missing_part: None }
    }
}

impl Buffer {
    fn push(&mut self, byte: u8) {
        self.extend(&[byte]);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let start = self.len;
        self.len = start.saturating_add(bytes.len());
        if start > Key::MAX_LEN {
            // Nobody reads the bytes of a key that is too long, only its length.
            return;
        }
        if self.len <= self.short.len() {
            self.short[start..self.len].copy_from_slice(bytes);
        } else {
            if self.long.is_empty() {
                self.long.extend_from_slice(&self.short[..start]);
            }
            self.long.extend_from_slice(bytes);
        }
    }

    fn is_too_long(&self) -> bool {
        self.len > Key::MAX_LEN
    }

    /// Takes in a part that is too long, and so makes the whole key too long: as its length alone. Nested parts would
    /// double in length on each level otherwise, as each level escapes the separators of those below it.
    fn extend_beyond(&mut self, part: &Self) {
        self.len = self.len.saturating_add(part.len);
    }

    /// The bytes, unless they are too long.
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

/// The result of encoding the attribute's `key`.
#[derive(Debug)]
pub enum KeyInput {
    /// The key, or a part of it, is `None` or empty. In a composite key, this is the index of the first such part.
    Missing(Option<usize>),
    /// The key is longer than [`Key::MAX_LEN`]. This is its length in bytes, or at least so much of it as was written until
    /// it was too long.
    TooLong(usize),
    /// A key.
    Key(Key),
}

impl KeyInput {
    /// The key, if there is one.
    pub(crate) fn key(&self) -> Option<&Key> {
        match self {
            Self::Key(key) => Some(key),
            Self::Missing(_) | Self::TooLong(_) => None,
        }
    }
}

/// Encodes a key.
pub fn encode<K: IdempotencyKey + ?Sized>(key: &K) -> KeyInput {
    let mut encoded = Buffer::default();
    key.write_key(KeyWriter(&mut encoded));
    if encoded.missing {
        KeyInput::Missing(encoded.missing_part)
    } else if encoded.is_too_long() {
        KeyInput::TooLong(encoded.len)
    } else {
        KeyInput::Key(Key(Blob::new(encoded.as_slice())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of nested parts, as many levels deep.
    struct Nested(u32);

    impl IdempotencyKey for Nested {
        fn write_key(&self, key: KeyWriter<'_>) -> Written {
            match self.0 {
                0 => key.text("x"),
                below => key.parts(&[&Nested(below - 1)]),
            }
        }
    }

    #[test]
    fn a_key_of_many_levels_is_too_long_and_takes_no_more_memory_than_the_longest_key() {
        let KeyInput::TooLong(length) = encode(&Nested(24)) else { panic!("a key of 24 levels isn't too long") };
        assert!(length < 10 * Key::MAX_LEN, "{length}");
        assert!(matches!(encode(&Nested(8)), KeyInput::Key(_)));
    }

    #[test]
    fn the_length_of_a_key_that_is_too_long_is_told() {
        let long = "x".repeat(5_000);
        assert!(matches!(encode(&long), KeyInput::TooLong(5_000)));
        assert!(matches!(encode(&("ab", &long)), KeyInput::TooLong(5_004)));
        assert!(matches!(encode(&(&long, "ab")), KeyInput::TooLong(5_004)));

        struct Displayed<'a>(&'a str);
        impl IdempotencyKey for Displayed<'_> {
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                key.display(self.0)
            }
        }
        assert!(matches!(encode(&Displayed(&long)), KeyInput::TooLong(5_000)));
        assert!(matches!(encode(&(Displayed(&long), None::<u8>)), KeyInput::Missing(Some(1))));
    }

    #[test]
    fn the_first_part_that_is_missing_is_told() {
        assert!(matches!(encode(&None::<u8>), KeyInput::Missing(None)));
        assert!(matches!(encode(&("", "a")), KeyInput::Missing(Some(0))));
        assert!(matches!(encode(&("a", None::<u8>, "")), KeyInput::Missing(Some(1))));
        assert!(matches!(encode(&("a", ("b", ""))), KeyInput::Missing(Some(1))));
        assert!(matches!(encode(&Some(("a", ""))), KeyInput::Missing(Some(1))));
    }
}
