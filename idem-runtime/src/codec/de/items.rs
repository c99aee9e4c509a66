//! Reads single items: heads, strings and numbers.

use std::str;

use super::super::wire::{ARGUMENT, BYTES, EIGHT_BYTES, FOUR_BYTES, INDEFINITE, INLINE, ONE_BYTE, TWO_BYTES};
use super::parts::Items;
use super::{Decoder, Failure, Result};

impl<'de> Decoder<'de> {
    #[inline]
    pub(super) fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    #[inline]
    pub(super) fn peek(&mut self) -> Result<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => Ok(*byte),
            None => Err(self.truncated(self.at)),
        }
    }

    /// The next `len` bytes of the value that began at `start`.
    #[inline]
    pub(super) fn take(&mut self, start: usize, len: u64) -> Result<&'de [u8]> {
        match usize::try_from(len) {
            Ok(len) if len <= self.rest() => {
                let taken = &self.bytes[self.at..self.at + len];
                self.at += len;
                Ok(taken)
            }
            _ => Err(self.truncated(start)),
        }
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self, start: usize) -> Result<[u8; N]> {
        match self.bytes[self.at..].first_chunk() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(start)),
        }
    }

    #[cold]
    pub(super) fn truncated(&mut self, start: usize) -> Failure {
        self.broken("a value that doesn't end before its end", start)
    }

    /// The error for bytes that aren't of the format. Nobody knows then where the next value begins. So the decoder
    /// moves to the end of the input, and a type that ignores the error finds nothing more.
    #[cold]
    pub(super) fn broken(&mut self, expected: &str, start: usize) -> Failure {
        self.at = self.bytes.len();
        Failure::expected(expected, start)
    }

    /// Reads an item's first byte and its argument, which is a length or a number.
    #[inline]
    pub(super) fn argument(&mut self) -> Result<u64> {
        let start = self.at;
        let first = self.peek()?;
        self.at += 1;
        Ok(match first & ARGUMENT {
            inline @ ..=INLINE => inline.into(),
            ONE_BYTE => u8::from_be_bytes(self.array(start)?).into(),
            TWO_BYTES => u16::from_be_bytes(self.array(start)?).into(),
            FOUR_BYTES => u32::from_be_bytes(self.array(start)?).into(),
            EIGHT_BYTES => u64::from_be_bytes(self.array(start)?),
            _ => return Err(self.broken("the length of a value", start)),
        })
    }

    #[inline]
    pub(super) fn byte_string(&mut self) -> Result<&'de [u8]> {
        let start = self.at;
        let len = self.argument()?;
        self.take(start, len)
    }

    #[inline]
    pub(super) fn text(&mut self) -> Result<&'de str> {
        let start = self.at;
        let text = self.byte_string()?;
        str::from_utf8(text).map_err(|_| self.broken("text in UTF-8", start))
    }

    /// The `f64` after its first byte.
    #[inline]
    pub(super) fn double(&mut self) -> Result<f64> {
        let start = self.at;
        self.at += 1;
        Ok(f64::from_bits(u64::from_be_bytes(self.array(start)?)))
    }

    /// The number after a bignum's tag.
    pub(super) fn big(&mut self) -> Result<u128> {
        let start = self.at;
        self.at += 1;
        if self.peek()? & !ARGUMENT == BYTES {
            let digits = self.byte_string()?;
            let mut bytes = [0; 16];
            if let Some(low) = 16_usize.checked_sub(digits.len()) {
                bytes[low..].copy_from_slice(digits);
                return Ok(u128::from_be_bytes(bytes));
            }
        }
        Err(self.broken("an integer of 128 bits", start))
    }

    /// Begins an array or a map, where each item is at least `width` bytes.
    pub(super) fn items(&mut self, width: usize) -> Result<Items> {
        let start = self.at;
        if self.peek()? & ARGUMENT == INDEFINITE {
            self.at += 1;
            return Ok(Items { left: None });
        }
        let len = self.argument()?;
        match usize::try_from(len) {
            // The length fits into the rest of the input. So a visitor may reserve memory for it.
            Ok(len) if len <= self.rest() / width => Ok(Items { left: Some(len) }),
            _ => Err(self.truncated(start)),
        }
    }
}
