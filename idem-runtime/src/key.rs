//! From a value to an encoded key.
//!
//! A single value is its text: `42_u32`, `42_u64` and `"42"` are the same key. A composite key is each part behind a unit
//! separator (0x1F), so that `("a/b", "c")` is not `("a", "b/c")`. Where the text itself holds a separator, or would read
//! as a composite, an escape (0x1B) stands before it: no two keys that differ have one encoding.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};
use std::num;
use std::rc::Rc;
use std::sync::Arc;

use crate::claim::{Blob, Key};

const SEPARATOR: u8 = 0x1f;
const ESCAPE: u8 = 0x1b;

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

impl IdempotencyKey for str {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(self)
    }
}

impl IdempotencyKey for [u8] {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.bytes(self)
    }
}

impl<const N: usize> IdempotencyKey for [u8; N] {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.bytes(self)
    }
}

impl IdempotencyKey for bool {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(if *self { "true" } else { "false" })
    }
}

impl IdempotencyKey for char {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(self.encode_utf8(&mut [0; 4]))
    }
}

#[cfg(feature = "uuid")]
impl IdempotencyKey for uuid::Uuid {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        key.text(self.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
    }
}

impl<K: IdempotencyKey> IdempotencyKey for Option<K> {
    fn write_key(&self, key: KeyWriter<'_>) -> Written {
        match self {
            Some(value) => value.write_key(key),
            None => key.missing(),
        }
    }
}

macro_rules! displayed {
    ($($type:ty)*) => { $(
        impl IdempotencyKey for $type {
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                key.display(self)
            }
        }
    )* };
}

displayed! {
    u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize
    num::NonZeroU8 num::NonZeroU16 num::NonZeroU32 num::NonZeroU64 num::NonZeroU128 num::NonZeroUsize
    num::NonZeroI8 num::NonZeroI16 num::NonZeroI32 num::NonZeroI64 num::NonZeroI128 num::NonZeroIsize
}

macro_rules! passed_on {
    ($($(#[$meta:meta])* [$($generics:tt)*] $type:ty => $value:ident $target:expr;)*) => { $(
        $(#[$meta])*
        impl<$($generics)*> IdempotencyKey for $type {
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                let $value = self;
                $target.write_key(key)
            }
        }
    )* };
}

passed_on! {
    [K: IdempotencyKey + ?Sized] &K => value (**value);
    [K: IdempotencyKey + ?Sized] &mut K => value (**value);
    [K: IdempotencyKey + ?Sized] Box<K> => value (**value);
    [K: IdempotencyKey + ?Sized] Rc<K> => value (**value);
    [K: IdempotencyKey + ?Sized] Arc<K> => value (**value);
    [K: IdempotencyKey + ToOwned + ?Sized] Cow<'_, K> => value (**value);
    [] String => value value.as_str();
    [] Vec<u8> => value value.as_slice();
}

macro_rules! tuples {
    ($($($part:ident)*;)*) => { $(
        impl<$($part: IdempotencyKey),*> IdempotencyKey for ($($part,)*) {
            #[allow(non_snake_case, reason = "each part is named as its type")]
            fn write_key(&self, key: KeyWriter<'_>) -> Written {
                let ($($part,)*) = self;
                key.parts(&[$($part),*])
            }
        }
    )* };
}

tuples! {
    A;
    A B;
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
    A B C D E F G H;
}
