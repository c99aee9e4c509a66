//! A number as `serde_json`'s feature `arbitrary_precision` writes it, where it is no integer of 64 bits:
//! `{"$serde_json::private::Number": "1.10"}`.
//!
//! Any dependency can turn that feature on, and another deploy off. A `serde_json::Value` of a build without it would take
//! such a number for an object, silently. It is told by what it asks for: one that knows these numbers asks for one entry,
//! one that doesn't for another key then. serde's buffer (`flatten`, tagged and untagged enums) does so as well, but asks for
//! keys of any type, and gets the map as it is: for whom it buffers can't be told.

use super::super::wire::NUMBER;
use super::{Decoder, Failure, Result};

impl Decoder<'_> {
    /// Before a map is read.
    #[inline]
    pub(super) fn note_number(&mut self) {
        if self.bytes[self.at..].starts_with(NUMBER) {
            self.number = Some(self.at);
        }
    }

    /// Before a text is read by one who asked for any value: if it is the key of such a number, it goes to a buffer.
    #[inline]
    pub(super) fn note_buffer(&mut self) {
        if self.number.is_some_and(|start| start + 1 == self.at) {
            self.number = None;
        }
    }

    /// Where one who asked for names has read all entries of the map that begins at `start`, and asks for another.
    ///
    /// # Errors
    ///
    /// That map is a number.
    #[inline]
    pub(super) fn no_number(&self, start: usize) -> Result<()> {
        if self.number == Some(start) {
            return Err(Failure::expected("a number that serde_json can hold in this build", start));
        }
        Ok(())
    }
}
