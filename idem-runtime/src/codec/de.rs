//! Decodes bytes through serde. Strings and bytes are borrowed from the input, so decoding itself allocates nothing.
//!
//! The input can be anything, such as a row that was damaged or that an earlier version of the program wrote. So a
//! length in it is checked against the bytes that are there, and nesting against [`LEVELS`].

mod failure;
mod items;
mod number;
mod parts;

use serde::de::{DeserializeSeed, Deserializer, Expected, IgnoredAny, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

pub(super) use self::failure::Failure;
use self::parts::{Parts, Variant};
use super::wire::{
    ARGUMENT, ARRAY, BIG_NEGATIVE, BIG_UNSIGNED, BYTES, F32, F64, FALSE, INLINE, LEVELS, MAP, NEGATIVE, NULL,
    RAW_VALUE, SOME, TEXT, TRUE, UNSIGNED,
};

type Result<T> = std::result::Result<T, Failure>;

/// Reads values one after the other.
pub(super) struct Decoder<'de> {
    bytes: &'de [u8],
    at: usize,
    /// How many more levels of nesting are allowed.
    levels: u16,
    /// The start of the map that is a `serde_json` number, while a visitor reads it that asked for names.
    number: Option<usize>,
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { bytes, at: 0, levels: LEVELS, number: None }
    }

    /// Checks that nothing follows the value.
    pub(super) fn end(&self) -> Result<()> {
        if self.rest() == 0 { Ok(()) } else { Err(Failure::expected("the end of the record", self.at)) }
    }

    /// Goes one level deeper. A type can be nested where its bytes are not (`struct A(Option<Box<A>>)`), so levels of
    /// types count too.
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

    /// Reads a value that has parts. If a type ignores the error of a part (`unwrap_or_default`), the decoder stands
    /// somewhere within the value. It is moved to the end of the value before the next one is read.
    #[inline]
    fn whole<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let start = self.at;
        self.deeper(read).map_err(|error| self.after(start, error))
    }

    #[cold]
    fn after(&mut self, start: usize, error: Failure) -> Failure {
        if self.at < self.bytes.len() {
            self.at = start;
            // If this fails, the decoder is at the end of the input.
            let _ = IgnoredAny::deserialize(&mut *self);
        }
        error.or_at(start)
    }

    /// The error for a value of an unexpected kind. Skips the value.
    #[cold]
    fn refuse(&mut self, expected: &dyn Expected) -> Failure {
        self.after(self.at, Failure::anywhere(expected.to_string()))
    }

    /// Reads a part. An error without a position gets the position of the part.
    #[inline]
    fn part<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        let start = self.at;
        seed.deserialize(self).map_err(|error| error.or_at(start))
    }

    fn seq<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.whole(|decoder| {
            let mut parts = Parts { start: decoder.at, items: decoder.items(1)?, decoder };
            let value = visitor.visit_seq(&mut parts)?;
            parts.end("the end of the sequence")?;
            Ok(value)
        })
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        self.whole(|decoder| {
            let mut parts = Parts { start: decoder.at, items: decoder.items(2)?, decoder };
            let value = visitor.visit_map(&mut parts)?;
            parts.end("the end of the map")?;
            Ok(value)
        })
    }

    /// Reads the fields of a struct, from a map only. A derived visitor would also take an array, by position, and so
    /// read what was a tuple in another version of the program.
    fn fields<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.peek()? & !ARGUMENT {
            MAP => self.map(visitor),
            ARRAY => Err(self.refuse(&visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    /// A fast path for small numbers, which are the most frequent.
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

    /// Reads a float with this many binary digits. If another version of the program wrote an integer, the float has to
    /// hold it exactly, because serde would round it.
    fn float<V: Visitor<'de>>(&mut self, digits: u32, visitor: V) -> Result<V::Value> {
        let start = self.at;
        let major = self.peek()? & !ARGUMENT;
        if let UNSIGNED | NEGATIVE = major {
            // The number is -1 - n, which has as many digits as n + 1.
            let n = u128::from(self.argument()?) + u128::from(major == NEGATIVE);
            if n != 0 && n.ilog2() + 1 - n.trailing_zeros() > digits {
                return Err(Failure::expected("an integer that a float holds exactly", start));
            }
            self.at = start;
        }
        self.deserialize_any(visitor)
    }

    /// Reads an `f64` as an `f32`. It is rounded, but refused if it would become infinite or zero.
    fn narrowed<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let start = self.at;
        let wide = self.double()?;
        let narrow = wide as f32;
        if narrow.is_infinite() != wide.is_infinite() || (narrow == 0.0) != (wide == 0.0) {
            return Err(Failure::expected("a number in the range of an f32", start));
        }
        visitor.visit_f64(wide)
    }

    /// The error for an integer where a name is expected.
    fn no_index<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let n = self.argument()?;
        match i64::try_from(n) {
            Ok(n) => visitor.visit_i64(n),
            Err(_) => visitor.visit_u64(n),
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
    type Error = Failure;

    // As in the encoder, because serde reads its own buffer as human readable.
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
            TEXT => {
                self.note_buffer();
                visitor.visit_borrowed_str(self.text()?)
            }
            ARRAY => self.seq(visitor),
            MAP => {
                self.note_number();
                self.map(visitor)
            }
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
                // Null is both `()` and `None`, and serde accepts a unit for a `None`.
                NULL => {
                    self.at += 1;
                    visitor.visit_unit()
                }
                F32 => {
                    self.at += 1;
                    visitor.visit_f32(f32::from_bits(u32::from_be_bytes(self.array(start)?)))
                }
                F64 => visitor.visit_f64(self.double()?),
                _ => {
                    let expected: &dyn Expected = &visitor;
                    Err(self.broken(&expected.to_string(), start))
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

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            F64 => self.narrowed(visitor),
            _ => self.float(f32::MANTISSA_DIGITS, visitor),
        }
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.peek()? {
            F64 => visitor.visit_f64(self.double()?),
            _ => self.float(f64::MANTISSA_DIGITS, visitor),
        }
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.string(visitor)
    }

    /// Reads a name, which is text. A derived visitor would take a `u64` for an index, and so take the key of what was
    /// a map in another version of the program. It takes no `i64` for an index. Under `flatten`, where a key can be of
    /// any type, an `i64` does as well.
    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.bytes.get(self.at) {
            Some(byte) if byte & !ARGUMENT == TEXT => visitor.visit_borrowed_str(self.text()?),
            Some(byte) if byte & !ARGUMENT == UNSIGNED => self.no_index(visitor),
            _ => self.deserialize_any(visitor),
        }
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
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        // A `RawValue` is written as a struct, and its visitor takes nothing else.
        if name == RAW_VALUE {
            return self.deserialize_any(visitor);
        }
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
                    return Err(Failure::expected("a variant", start));
                }
                let value = visitor.visit_enum(Variant { decoder: &mut *decoder, has_content: true })?;
                Parts { decoder, items, start }.end("a single variant")?;
                Ok(value)
            }),
            _ => Err(self.refuse(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.fields(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        // Reads each byte of the ignored value all the same, so that damage in it is found.
        self.deserialize_any(IgnoredAny)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map
    }
}
