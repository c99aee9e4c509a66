//! Numbers of `serde_json` if a dependency has turned on its feature `arbitrary_precision`: each is a struct with one
//! text.

use std::str;

use serde::Serialize;

use super::super::wire::{INLINE, NUMBER, TEXT};
use super::{Encoder, Result};

impl<const CANONICAL: bool> Encoder<'_, CANONICAL> {
    /// Writes the number at `start` again as a build without that feature would write it, if it then has the same
    /// digits when it is read. Any other number stays as it is.
    ///
    /// Integers of 64 bits are written so. Floats aren't, because some types that read these numbers would get another
    /// value: `bigdecimal` would read the nearest binary fraction. In the canonical form, which is never read, floats
    /// are written so too.
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

/// The text of the number in `bytes`. `None` if it is too long to be shortened.
fn number(bytes: &[u8]) -> Option<&str> {
    let (head, text) = bytes.strip_prefix(NUMBER)?.split_first()?;
    if *head <= TEXT | INLINE { str::from_utf8(text).ok() } else { None }
}
