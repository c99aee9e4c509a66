//! The encoding of recorded results and of what a fingerprint is taken from: serde to CBOR (RFC 8949) and back.
//!
//! A record must outlive a deploy and give back exactly what the handler returned, for every type. So the encoding is
//! self-describing (a struct is a map with text keys: a field can be added, with a serde default, or dropped), and no
//! two values of one type have the same bytes. The one place where the usual mapping to CBOR fails that is
//! `Some(None)`, which everywhere else is the same null as `None`; here a tag tells them apart ([`wire::SOME`]).
//!
//! | serde | CBOR |
//! |---|---|
//! | integers | major types 0 and 1 in the shortest form; beyond 64 bits a bignum, tags 2 and 3 |
//! | `f32`, `f64` | their own width, bit by bit |
//! | strings, `char`, unit variants, names | text |
//! | bytes | byte string |
//! | `()`, unit structs, `None` | null |
//! | `Some(x)` | `x`; behind a tag where `x` begins with null or with that tag |
//! | newtype structs | what is in them |
//! | sequences, tuples | array: definite where the length is known, else indefinite |
//! | maps, structs | map, likewise |
//! | other variants | a map with one entry, the variant's name to its content |
//! | numbers of `serde_json` with `arbitrary_precision` | an integer of 64 bits as one; else the struct that `serde_json` makes of it |
//!
//! What another deploy wrote as another type is read only where it is the same value: by its fields' names, never by
//! position or index, and never rounded into a float that can't hold it.
//!
//! serde has limits of its own within `flatten`, untagged and internally tagged enums, where it keeps values in a buffer and
//! reads them from there by itself, in any format. It can't read an `i128` or `u128` back; it fills a struct by position and
//! rounds; and there is no `RawValue` of `serde_json`.
//!
//! Nothing here holds a decoded value longer than the call: see [`DecodeError`] for errors, and [`with_scratch`] for the
//! buffer.

mod de;
mod describe;
pub(crate) mod fingerprint;
pub(crate) mod record;
mod ser;
#[cfg(test)]
mod tests;
mod wire;

use std::any;
use std::cell::Cell;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Serialize, ser as serde_ser};

pub(crate) use self::describe::{describe, describe_bytes};

/// Why a record can't be read: what was expected, and where. Never what was found.
///
/// A record can hold what no log may, and serde's own errors quote it: "invalid value: string \"hunter2\"". So this keeps
/// the names of types, fields and variants, which are the program's, and the position; the text of a custom error, which
/// can be made from anything, is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    expected: String,
    at: usize,
    reading: Option<&'static str>,
    is_of_error: bool,
}

impl DecodeError {
    pub(crate) fn expected(expected: impl Into<String>, at: usize) -> Self {
        Self { expected: expected.into(), at, reading: None, is_of_error: false }
    }

    pub(crate) fn of_error(self) -> Self {
        Self { is_of_error: true, ..self }
    }

    /// Whether the record is of an `Err` that the handler returned (`on_error = "record"`), and not of a result. An
    /// `on_decode` function that answers such a duplicate with an `Ok` turns a failure into a success.
    pub fn is_of_error(&self) -> bool {
        self.is_of_error
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)?;
        if let Some(reading) = self.reading {
            write!(f, ", reading `{reading}`")?;
        }
        Ok(())
    }
}

impl std::error::Error for DecodeError {}

/// Says nothing: serde's own errors quote values.
#[derive(Debug)]
pub(crate) struct EncodeError;

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value can't be encoded")
    }
}

impl std::error::Error for EncodeError {}

impl serde_ser::Error for EncodeError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Gives `work` an empty buffer that this thread keeps for the next call, so that encoding allocates only what the
/// record itself needs.
///
/// It is out of the cell while in use, so `work` can come back here; and it is overwritten afterwards, as results
/// can be secret.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    /// One large result must not occupy its size in every thread for ever.
    const KEPT: usize = 64 * 1024;

    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    // While a thread ends there is no cell any more: then it's an ordinary buffer.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    let done = work(&mut scratch);
    if scratch.capacity() <= KEPT {
        scratch.fill(0);
        scratch.clear();
        let _ = SCRATCH.try_with(|cell| cell.set(scratch));
    }
    done
}

/// Appends the encoded value to `out`. After an error, `out` ends in a part of it.
///
/// # Errors
///
/// The value's `Serialize` failed, or it is nested deeper than [`wire::LEVELS`].
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    value.serialize(&mut ser::Encoder::<false>::new(out))
}

/// As [`encode`], but two equal maps have the same bytes: entries are sorted by their encoded keys, and lengths are always
/// definite (RFC 8949, section 4.2.1).
///
/// To serde a set is a sequence: two equal `HashSet`s do differ.
///
/// # Errors
///
/// As [`encode`].
pub(crate) fn encode_canonical<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    value.serialize(&mut ser::Encoder::<true>::new(out))
}

/// The value that `bytes` are the encoding of, all of them. `offset` is how many bytes of the record are before them.
///
/// # Errors
///
/// They aren't the encoding of a `T`, or of anything.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], offset: usize) -> Result<T, DecodeError> {
    let mut decoder = de::Decoder::new(bytes);
    T::deserialize(&mut decoder)
        .and_then(|value| decoder.end().map(|()| value))
        .map_err(|failure| failed::<T>(failure, offset))
}

#[cold]
fn failed<T>(failure: de::Failure, offset: usize) -> DecodeError {
    let (expected, at) = failure.into_expected();
    DecodeError { expected, at: at + offset, reading: Some(any::type_name::<T>()), is_of_error: false }
}
