//! Numbers that `serde_json` wrote with its feature `arbitrary_precision` and that are no integers of 64 bits:
//! `{"$serde_json::private::Number": "1.10"}`.
//!
//! Any dependency can turn that feature on, and it can be off in another version of the program. A `serde_json::Value`
//! of a build without the feature would silently take such a number for an object. The decoder recognises such a build
//! by what it asks for: with the feature, it asks for one entry, and without it, it asks for another key after that
//! entry. serde's buffer (`flatten`, tagged and untagged enums) also asks for another key, but for one of any type. It
//! gets the map as it is, because nobody knows for which type it buffers.

use super::super::wire::NUMBER;
use super::{Decoder, Failure, Result};

impl Decoder<'_> {
    /// Called before a map is read.
    #[inline]
    pub(super) fn note_number(&mut self) {
        if self.bytes[self.at..].starts_with(NUMBER) {
            self.number = Some(self.at);
        }
    }

    /// Called before a text is read by a visitor that asked for a value of any type. If the text is the key of such a
    /// number, the visitor is serde's buffer.
    #[inline]
    pub(super) fn note_buffer(&mut self) {
        if self.number.is_some_and(|start| start + 1 == self.at) {
            self.number = None;
        }
    }

    /// Called if a visitor that asked for names has read all entries of the map at `start`, and asks for another one.
    ///
    /// # Errors
    ///
    /// The map is a number.
    #[inline]
    pub(super) fn no_number(&self, start: usize) -> Result<()> {
        if self.number == Some(start) {
            return Err(Failure::expected("a number that serde_json can hold in this build", start));
        }
        Ok(())
    }
}
