//! Bytes to serde. Strings and bytes are lent from the input, and nothing else is allocated here.
//!
//! The input can be anything: a row that was damaged, or that an earlier version of the program wrote. So no length in it
//! is believed beyond the bytes that are there, and no nesting beyond [`LEVELS`].

mod items;
mod parts;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, Unexpected, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use self::parts::{Parts, Variant};
use super::DecodeError;
use super::wire::{
    ARGUMENT, ARRAY, BIG_NEGATIVE, BIG_UNSIGNED, BYTES, F32, F64, FALSE, INLINE, LEVELS, MAP, NEGATIVE, NULL, SOME,
    TEXT, TRUE, UNSIGNED,
};

type Result<T> = std::result::Result<T, DecodeError>;

/// Reads values, one after the other.
pub(super) struct Decoder<'de> {
    bytes: &'de [u8],
    at: usize,
    /// How many levels more there can be.
    levels: u16,
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, levels: LEVELS }
    }

    /// Nothing follows.
    pub(super) fn end(&self) -> Result<()> {
        if self.rest() == 0 { Ok(()) } else { Err(DecodeError::expected("the end of the record", self.at)) }
    }

    /// Goes one level deeper. Types can be nested where bytes are not (`struct A(Option<Box<A>>)`), so these count too.
    #[inline]
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let Some(levels) = self.levels.checked_sub(1) else {
            return Err(self.broken("a value that is nested less", self.at));
        };
        self.levels = levels;
        let read = read(self);
        self.levels = levels + 1;
        read
    }

    /// Reads what has parts. A type that ignores the error of a part (`unwrap_or_default`) leaves the decoder somewhere
    /// within; it must be behind the value before the next is read.
    #[inline]
    fn whole<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let start = self.at;
        self.deeper(read).map_err(|error| self.after(start, error))
    }

    #[cold]
    fn after(&mut self, start: usize, error: DecodeError) -> DecodeError {
        if self.at < self.bytes.len() {
            self.at = start;
            // If it fails, nothing more is found.
            let _ = IgnoredAny::deserialize(&mut *self);
        }
        error.or_at(start)
    }

    /// Reads a part, so that an error without a position gets that of the part.
    #[inline]
    fn part<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let start = self.at;
        seed.deserialize(self).map_err(|error| error.or_at(start))
    }

    fn seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.whole(|decoder| {
            let mut parts = Parts { items: decoder.items(1)?, decoder };
            let value = visitor.visit_seq(&mut parts)?;
            parts.end("the end of the sequence")?;
            Ok(value)
        })
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.whole(|decoder| {
            let mut parts = Parts { items: decoder.items(2)?, decoder };
            let value = visitor.visit_map(&mut parts)?;
            parts.end("the end of the map")?;
            Ok(value)
        })
    }

    /// Small numbers are most numbers.
    #[inline]
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.bytes.get(self.at) {
            Some(&byte @ ..=INLINE) => {
                self.at += 1;
                visitor.visit_u64(byte.into())
            }
            _ => self.deserialize_any(visitor),
        }
    }

    #[inline]
    fn string<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.bytes.get(self.at) {
            Some(byte) if byte & !ARGUMENT == TEXT => visitor.visit_borrowed_str(self.text()?),
            _ => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = DecodeError;

    // As the encoder: what serde buffers is read as human readable.
    fn is_human_readable(&self) -> bool {
        true
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let start = self.at;
        let first = self.peek()?;
        match first & !ARGUMENT {
            UNSIGNED => visitor.visit_u64(self.argument()?),
            NEGATIVE => {
                let n = self.argument()?;
                // -1 - n is !n.
                match i64::try_from(n) {
                    Ok(n) => visitor.visit_i64(!n),
                    Err(_) => visitor.visit_i128(!i128::from(n)),
                }
            }
            BYTES => visitor.visit_borrowed_bytes(self.byte_string()?),
            TEXT => visitor.visit_borrowed_str(self.text()?),
            ARRAY => self.seq(visitor),
            MAP => self.map(visitor),
            _ => match first {
                BIG_UNSIGNED => visitor.visit_u128(self.big()?),
                BIG_NEGATIVE => match i128::try_from(self.big()?) {
                    Ok(n) => visitor.visit_i128(!n),
                    Err(_) => Err(self.broken("an integer of 128 bits", start)),
                },
                SOME => {
                    self.at += 1;
                    self.deeper(|decoder| visitor.visit_some(decoder))
                }
                FALSE | TRUE => {
                    self.at += 1;
                    visitor.visit_bool(first == TRUE)
                }
                // Both `()` and `None`: serde takes a unit for a `None` as well.
                NULL => {
                    self.at += 1;
                    visitor.visit_unit()
                }
                F32 => {
                    self.at += 1;
                    visitor.visit_f32(f32::from_bits(u32::from_be_bytes(self.array(start)?)))
                }
                F64 => {
                    self.at += 1;
                    visitor.visit_f64(f64::from_bits(u64::from_be_bytes(self.array(start)?)))
                }
                _ => {
                    let error = DecodeError::invalid_type(Unexpected::Other(""), &visitor);
                    Err(self.broken(&error.expected, start))
                }
            },
        }
    }

    #[inline]
    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    #[inline]
    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    #[inline]
    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    #[inline]
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            NULL => {
                self.at += 1;
                return visitor.visit_none();
            }
            SOME => self.at += 1,
            _ => {}
        }
        self.deeper(|decoder| visitor.visit_some(decoder))
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value> {
        self.deeper(|decoder| visitor.visit_newtype_struct(decoder))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let start = self.at;
        match self.peek()? & !ARGUMENT {
            TEXT => visitor.visit_enum(Variant { decoder: self, has_content: false }),
            MAP => self.whole(|decoder| {
                let mut items = decoder.items(2)?;
                if !items.next(decoder)? {
                    return Err(DecodeError::expected("a variant", start));
                }
                let value = visitor.visit_enum(Variant { decoder: &mut *decoder, has_content: true })?;
                Parts { decoder, items }.end("a single variant")?;
                Ok(value)
            }),
            _ => {
                let error = DecodeError::invalid_type(Unexpected::Other(""), &visitor);
                // Skips it, whatever it is.
                Err(self.after(start, error))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        // Reads every byte of it nevertheless: damage is found wherever it is.
        self.deserialize_any(IgnoredAny)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
    }
}
