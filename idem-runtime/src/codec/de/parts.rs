//! Reads the parts of a value: elements, entries, and a variant and its content.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::super::wire::BREAK;
use super::{Decoder, Failure, Result};

/// How many items are left. `None` if the length is indefinite and the break has not been read.
pub(super) struct Items {
    pub(super) left: Option<usize>,
}

impl Items {
    /// Whether there is another.
    #[inline]
    pub(super) fn next(&mut self, decoder: &mut Decoder<'_>) -> Result<bool> {
        match &mut self.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if decoder.peek()? == BREAK => {
                decoder.at += 1;
                self.left = Some(0);
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

/// The elements of an array, or the entries of a map, as they are read.
pub(super) struct Parts<'d, 'de> {
    pub(super) decoder: &'d mut Decoder<'de>,
    pub(super) items: Items,
    /// The position of the first byte of the value.
    pub(super) start: usize,
}

impl Parts<'_, '_> {
    /// Checks that there are no more parts.
    pub(super) fn end(mut self, expected: &str) -> Result<()> {
        let at = self.decoder.at;
        if self.items.next(self.decoder)? { Err(Failure::expected(expected, at)) } else { Ok(()) }
    }
}

impl<'de> SeqAccess<'de> for &mut Parts<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.items.next(self.decoder)? { self.decoder.part(seed).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.left
    }
}

impl<'de> MapAccess<'de> for &mut Parts<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.items.next(self.decoder)? {
            return self.decoder.part(seed).map(Some);
        }
        self.decoder.no_number(self.start).map(|()| None)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.decoder.part(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.items.left
    }
}

/// A variant: its name, and its content where it is in a map.
pub(super) struct Variant<'d, 'de> {
    pub(super) decoder: &'d mut Decoder<'de>,
    pub(super) has_content: bool,
}

impl<'d, 'de> Variant<'d, 'de> {
    fn content(self) -> Result<&'d mut Decoder<'de>> {
        if self.has_content { Ok(self.decoder) } else { Err(Failure::anywhere("a variant with content")) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Failure;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        Ok((self.decoder.part(seed)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Failure;

    fn unit_variant(self) -> Result<()> {
        if self.has_content { Deserialize::deserialize(self.decoder) } else { Ok(()) }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.content()?.part(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value> {
        self.content()?.fields(visitor)
    }
}
