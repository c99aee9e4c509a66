//! A number as `serde_json`'s feature `arbitrary_precision` writes it, where it is no integer of 64 bits:
//! `{"$serde_json::private::Number": "1.10"}`.
//!
//! Any dependency can turn that feature on, and another deploy off. A `serde_json::Value` of a build without it would take
//! such a number for an object, silently. It is told by what it asks for: one that knows these numbers asks for the text as
//! a text, one that doesn't as for any value. serde's buffer (`flatten`, tagged and untagged enums) does so as well, but
//! asks for any key too, and gets the map as it is: for whom it buffers can't be told.

use super::super::wire::NUMBER;
use super::Decoder;

impl Decoder<'_> {
    /// Before a map is read.
    #[inline]
    pub(super) fn note_number(&mut self) {
        if self.bytes[self.at..].starts_with(NUMBER) {
            self.number = Some(self.at + NUMBER.len());
        }
    }

    /// Before a text is read by one who asked for any value: whether it is that of a number, and who asked doesn't know
    /// these numbers.
    #[inline]
    pub(super) fn is_unknown_number(&mut self) -> bool {
        // The key is behind the first byte of the map.
        if self.number == Some(self.at + NUMBER.len() - 1) {
            self.number = None;
        }
        self.number == Some(self.at)
    }
}
