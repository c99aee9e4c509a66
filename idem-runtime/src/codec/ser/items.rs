//! Writes arrays and maps.

use serde::ser::{self, Serialize};

use super::super::EncodeError;
use super::super::wire::{BREAK, MAP};
use super::{Encoder, Result};

/// The elements of an array, or the entries of a map, as they are written.
pub(in super::super) struct Items<'e, 'o, const CANONICAL: bool> {
    encoder: &'e mut Encoder<'o, CANONICAL>,
    /// The encoder's levels before the array or map.
    levels: u16,
    major: u8,
    /// The position of the head.
    start: usize,
    /// The length that the head has.
    announced: Option<usize>,
    /// How many elements, or keys and values, were written so far.
    written: usize,
    /// The positions of a map's entries, to sort them. Only used in the canonical form.
    entries: Vec<Entry>,
}

struct Entry {
    key: usize,
    value: usize,
    end: usize,
}

impl<'e, 'o, const CANONICAL: bool> Items<'e, 'o, CANONICAL> {
    pub(super) fn new(
        encoder: &'e mut Encoder<'o, CANONICAL>,
        levels: u16,
        major: u8,
        start: usize,
        announced: Option<usize>,
    ) -> Self {
        Self { encoder, levels, major, start, announced, written: 0, entries: Vec::new() }
    }

    #[inline]
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.written += 1;
        self.part(value)
    }

    #[inline]
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        let part = value.serialize(&mut *self.encoder);
        self.encoder.failed |= part.is_err();
        part
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result {
        self.written += 2;
        self.encoder.text(name);
        self.part(value)
    }

    #[inline]
    fn finish(&mut self) -> Result {
        if self.encoder.failed {
            return Err(EncodeError);
        }
        let len = if self.major == MAP {
            // The last key has no value.
            if !self.written.is_multiple_of(2) {
                return Err(EncodeError);
            }
            self.written / 2
        } else {
            self.written
        };
        match self.announced {
            None => self.encoder.out.push(BREAK),
            Some(announced) if announced == len => {}
            // For serde, a length is a hint. Some types give a wrong one.
            Some(announced) => self.encoder.correct_head(self.start, self.major, announced as u64, len as u64),
        }
        self.encoder.levels = self.levels;
        Ok(())
    }

    /// Sorts the entries by their encoded keys. Entries with equal keys keep their order.
    fn sort(&mut self) {
        let out = &mut *self.encoder.out;
        let key = |entry: &Entry| &out[entry.key..entry.value];
        if self.entries.is_sorted_by_key(key) {
            return;
        }
        self.entries.sort_by(|a, b| key(a).cmp(key(b)));
        let sorted: Vec<u8> = self.entries.iter().flat_map(|entry| &out[entry.key..entry.end]).copied().collect();
        let start = out.len() - sorted.len();
        out.truncate(start);
        out.extend_from_slice(&sorted);
    }
}

impl<const CANONICAL: bool> ser::SerializeSeq for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    fn end(mut self) -> Result {
        self.finish()
    }
}

impl<const CANONICAL: bool> ser::SerializeTuple for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    fn end(mut self) -> Result {
        self.finish()
    }
}

impl<const CANONICAL: bool> ser::SerializeTupleStruct for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    fn end(mut self) -> Result {
        self.finish()
    }
}

impl<const CANONICAL: bool> ser::SerializeTupleVariant for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)
    }

    fn end(mut self) -> Result {
        self.finish()
    }
}

impl<const CANONICAL: bool> ser::SerializeMap for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        let start = self.encoder.out.len();
        self.element(key)?;
        if CANONICAL {
            let value = self.encoder.out.len();
            self.entries.push(Entry { key: start, value, end: value });
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.element(value)?;
        if let Some(entry) = self.entries.last_mut() {
            entry.end = self.encoder.out.len();
        }
        Ok(())
    }

    fn end(mut self) -> Result {
        if CANONICAL {
            self.sort();
        }
        self.finish()
    }
}

impl<const CANONICAL: bool> ser::SerializeStruct for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        self.field(name, value)
    }

    fn end(mut self) -> Result {
        self.finish()?;
        if self.announced == Some(1) { self.encoder.shorten_number(self.start) } else { Ok(()) }
    }
}

impl<const CANONICAL: bool> ser::SerializeStructVariant for Items<'_, '_, CANONICAL> {
    type Ok = ();
    type Error = EncodeError;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result {
        self.field(name, value)
    }

    fn end(mut self) -> Result {
        self.finish()
    }
}
