//! Numbers of `serde_json`, where any dependency has turned on its feature `arbitrary_precision`: a struct with one text.

use std::str;

use serde::Serialize;

use super::super::wire::{INLINE, NUMBER, TEXT};
use super::{Encoder, Result};

impl<const CANONICAL: bool> Encoder<'_, CANONICAL> {
    /// Writes the number at `start` as a build without that feature does, if it has the same digits when it is read again;
    /// everything else stays.
    ///
    /// That goes for the integers of 64 bits. A float isn't the same to all who know these numbers: `bigdecimal` would read
    /// the nearest binary fraction. In the canonical form, which is never read, it is one.
    pub(super) fn shorten_number(&mut self, start: usize) -> Result {
        let Some(text) = number(&self.out[start..]) else { return Ok(()) };
        let integer = text.parse::<i128>().ok().filter(|n| n.to_string() == text);
        let float = text.parse::<f64>().ok().filter(|f| CANONICAL && format!("{f:?}") == text);
        if let Some(n) = integer.filter(|n| (i64::MIN.into()..=u64::MAX.into()).contains(n)) {
            self.out.truncate(start);
            n.serialize(self)
        } else if let Some(f) = float {
            self.out.truncate(start);
            f.serialize(self)
        } else {
            Ok(())
        }
    }
}

/// The text of the number that `bytes` are, unless it is too long to be shortened.
fn number(bytes: &[u8]) -> Option<&str> {
    let (head, text) = bytes.strip_prefix(NUMBER)?.split_first()?;
    if *head <= TEXT | INLINE { str::from_utf8(text).ok() } else { None }
}
