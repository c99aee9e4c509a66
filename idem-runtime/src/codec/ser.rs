//! Encodes values through serde, directly into the buffer.

mod items;
mod number;

use std::fmt::{self, Display, Write};

use serde::ser::{self, Serialize};

use self::items::Items;
use super::EncodeError;
use super::wire::{
    ARRAY, BIG_NEGATIVE, BIG_UNSIGNED, BYTES, EIGHT_BYTES, F32, F64, FALSE, FOUR_BYTES, INDEFINITE, INLINE, LEVELS,
    MAP, NEGATIVE, NULL, ONE_BYTE, SOME, TEXT, TRUE, TWO_BYTES, UNSIGNED,
};

type Result<T = ()> = std::result::Result<T, EncodeError>;

/// Writes one value at the end of a buffer.
pub(super) struct Encoder<'o, const CANONICAL: bool> {
    out: &'o mut Vec<u8>,
    /// How many more levels of nesting are allowed.
    levels: u16,
    /// A part failed and is only half written. The encoding fails then, even if the surrounding type ignores the error.
    failed: bool,
}

impl<'o, const CANONICAL: bool> Encoder<'o, CANONICAL> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, levels: LEVELS, failed: false }
    }

    /// An item's first byte and its argument.
    #[inline]
    fn head(&mut self, major: u8, argument: u64) {
        if argument <= u64::from(INLINE) {
            self.out.push(major | argument as u8);
        } else {
            self.long_head(major, argument);
        }
    }

    fn long_head(&mut self, major: u8, argument: u64) {
        let (bytes, len) = head(major, argument);
        self.out.extend_from_slice(&bytes[..len]);
    }

    /// Writes the head at `start` again, with the actual argument.
    #[cold]
    fn correct_head(&mut self, start: usize, major: u8, wrong: u64, right: u64) {
        let (_, wrong_len) = head(major, wrong);
        let (bytes, len) = head(major, right);
        self.out.splice(start..start + wrong_len, bytes.into_iter().take(len));
    }

    #[inline]
    fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A bignum without leading zeros (RFC 8949, section 3.4.3).
    fn big(&mut self, tag: u8, n: u128) {
        let bytes = n.to_be_bytes();
        let bytes = &bytes[n.leading_zeros() as usize / 8..];
        self.out.push(tag);
        self.head(BYTES, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
    }

    #[inline]
    fn deeper(&mut self) -> Result {
        self.levels = self.levels.checked_sub(1).ok_or(EncodeError)?;
        Ok(())
    }

    #[inline]
    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.deeper()?;
        value.serialize(&mut *self)?;
        self.levels += 1;
        Ok(())
    }

    fn items<'e>(&'e mut self, major: u8, announced: Option<usize>) -> Result<Items<'e, 'o, CANONICAL>> {
        let levels = self.levels;
        self.items_within(levels, major, announced)
    }

    /// `levels` is what the encoder's levels are set back to after the items.
    fn items_within<'e>(
        &'e mut self,
        levels: u16,
        major: u8,
        announced: Option<usize>,
    ) -> Result<Items<'e, 'o, CANONICAL>> {
        self.deeper()?;
        // Whether serde knows a length in advance can depend on how the value was made. So the canonical form always
        // has the length.
        let announced = if CANONICAL { Some(announced.unwrap_or(0)) } else { announced };
        let start = self.out.len();
        match announced {
            Some(len) => self.head(major, len as u64),
            None => self.out.push(major | INDEFINITE),
        }
        Ok(Items::new(self, levels, major, start, announced))
    }

    /// The head of `{variant: content}`.
    fn variant(&mut self, variant: &str) -> Result {
        self.deeper()?;
        self.head(MAP, 1);
        self.text(variant);
        Ok(())
    }

    fn variant_items<'e>(&'e mut self, variant: &str, major: u8, len: usize) -> Result<Items<'e, 'o, CANONICAL>> {
        let levels = self.levels;
        self.variant(variant)?;
        self.items_within(levels, major, Some(len))
    }
}

/// An item's first byte and its argument, in the shortest form, and how many of these bytes they are.
fn head(major: u8, argument: u64) -> ([u8; 9], usize) {
    let (info, width) = match argument {
        0..=0x17 => (argument as u8, 0),
        0x18..=0xff => (ONE_BYTE, 1),
        0x100..=0xffff => (TWO_BYTES, 2),
        0x1_0000..=0xffff_ffff => (FOUR_BYTES, 4),
        _ => (EIGHT_BYTES, 8),
    };
    let mut bytes = [0; 9];
    bytes[0] = major | info;
    bytes[1..=width].copy_from_slice(&argument.to_be_bytes()[8 - width..]);
    (bytes, 1 + width)
}

impl<'e, 'o, const CANONICAL: bool> ser::Serializer for &'e mut Encoder<'o, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Items<'e, 'o, CANONICAL>;
    type SerializeTuple = Items<'e, 'o, CANONICAL>;
    type SerializeTupleStruct = Items<'e, 'o, CANONICAL>;
    type SerializeTupleVariant = Items<'e, 'o, CANONICAL>;
    type SerializeMap = Items<'e, 'o, CANONICAL>;
    type SerializeStruct = Items<'e, 'o, CANONICAL>;
    type SerializeStructVariant = Items<'e, 'o, CANONICAL>;

    // `flatten` and untagged and internally tagged enums read from serde's own buffer, which is human readable. If this
    // encoder were not, a type with two forms (`IpAddr`, `Uuid`) would be written in one form and read in the other.
    fn is_human_readable(&self) -> bool {
        true
    }

    #[inline]
    fn serialize_bool(self, v: bool) -> Result {
        self.out.push(if v { TRUE } else { FALSE });
        Ok(())
    }

    #[inline]
    fn serialize_i8(self, v: i8) -> Result {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i16(self, v: i16) -> Result {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i32(self, v: i32) -> Result {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i64(self, v: i64) -> Result {
        // The argument of a negative number is -1 - v, which is !v.
        if v < 0 {
            self.head(NEGATIVE, !v as u64);
        } else {
            self.head(UNSIGNED, v as u64);
        }
        Ok(())
    }

    fn serialize_i128(self, v: i128) -> Result {
        let (major, tag, n) =
            if v < 0 { (NEGATIVE, BIG_NEGATIVE, !v as u128) } else { (UNSIGNED, BIG_UNSIGNED, v as u128) };
        match u64::try_from(n) {
            Ok(n) => self.head(major, n),
            Err(_) => self.big(tag, n),
        }
        Ok(())
    }

    #[inline]
    fn serialize_u8(self, v: u8) -> Result {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u16(self, v: u16) -> Result {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u32(self, v: u32) -> Result {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u64(self, v: u64) -> Result {
        self.head(UNSIGNED, v);
        Ok(())
    }

    fn serialize_u128(self, v: u128) -> Result {
        match u64::try_from(v) {
            Ok(v) => self.head(UNSIGNED, v),
            Err(_) => self.big(BIG_UNSIGNED, v),
        }
        Ok(())
    }

    #[inline]
    fn serialize_f32(self, v: f32) -> Result {
        let [a, b, c, d] = v.to_bits().to_be_bytes();
        self.out.extend_from_slice(&[F32, a, b, c, d]);
        Ok(())
    }

    #[inline]
    fn serialize_f64(self, v: f64) -> Result {
        let [a, b, c, d, e, f, g, h] = v.to_bits().to_be_bytes();
        self.out.extend_from_slice(&[F64, a, b, c, d, e, f, g, h]);
        Ok(())
    }

    fn serialize_char(self, v: char) -> Result {
        self.text(v.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result {
        self.text(v);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result {
        let start = self.out.len();
        self.head(TEXT, 0);
        let text = self.out.len();
        write!(Append(self.out), "{value}").map_err(|_| EncodeError)?;
        let len = (self.out.len() - text) as u64;
        if len > 0 {
            self.correct_head(start, TEXT, 0, len);
        }
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result {
        self.head(BYTES, v.len() as u64);
        self.out.extend_from_slice(v);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result {
        self.out.push(NULL);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        let start = self.out.len();
        self.nested(value)?;
        // A value that begins like this is a null with one tag for each `Some`. So inserting another tag moves only a
        // few bytes.
        if let Some(&(NULL | SOME)) = self.out.get(start) {
            self.out.insert(start, SOME);
        }
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Result {
        self.out.push(NULL);
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.out.push(NULL);
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        self.text(variant);
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result {
        self.nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        self.variant(variant)?;
        value.serialize(&mut *self)?;
        self.levels += 1;
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'e, 'o, CANONICAL>> {
        self.items(ARRAY, len)
    }

    fn serialize_tuple(self, len: usize) -> Result<Items<'e, 'o, CANONICAL>> {
        self.items(ARRAY, Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items<'e, 'o, CANONICAL>> {
        self.items(ARRAY, Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items<'e, 'o, CANONICAL>> {
        self.variant_items(variant, ARRAY, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Items<'e, 'o, CANONICAL>> {
        self.items(MAP, len)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Items<'e, 'o, CANONICAL>> {
        self.items(MAP, Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items<'e, 'o, CANONICAL>> {
        self.variant_items(variant, MAP, len)
    }
}

/// Appends formatted text to the buffer.
struct Append<'o>(&'o mut Vec<u8>);

impl Write for Append<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
