//! Encodes recorded results and fingerprinted values as CBOR (RFC 8949), and decodes results, through serde.
//!
//! A later version of the program must be able to read a record, and decoding must give exactly the value that the
//! handler returned, for each type. So the encoding is self-describing: a struct is a map with text keys, and a field
//! can be added (with a serde default) or dropped. Two different values of a type never have the same bytes. In the
//! usual mapping of serde to CBOR, `Some(None)` and `None` have the same bytes. Here a tag tells them apart
//! ([`wire::SOME`]).
//!
//! | serde | CBOR |
//! |---|---|
//! | integers | major types 0 and 1 in the shortest form; beyond 64 bits a bignum, tags 2 and 3 |
//! | `f32`, `f64` | their own width, bit by bit |
//! | strings, `char`, unit variants, names | text |
//! | bytes | byte string |
//! | `()`, unit structs, `None` | null |
//! | `Some(x)` | `x`; with a tag before it if `x` begins with null or with that tag |
//! | newtype structs | the value in them |
//! | sequences, tuples | array: of definite length where serde knows the length, else of indefinite length |
//! | maps, structs | map, likewise |
//! | other variants | a map with one entry, the variant's name to its content |
//! | numbers of `serde_json` with `arbitrary_precision` | an integer of 64 bits as an integer; any other as the struct that `serde_json` makes of it |
//!
//! A record of another version of the type is read only if it holds the same value. Fields are found by their names,
//! never by position or index. A number is never rounded into a float that can't hold it.
//!
//! serde has limits of its own within `flatten` and within untagged and internally tagged enums. There it buffers
//! values and reads them from its buffer by itself, in any format. It can't read an `i128` or `u128` from there, it
//! fills a struct by position, it rounds, and it has no `RawValue` of `serde_json`.
//!
//! This module keeps no value after a call: see [`DecodeError`] for its errors and [`with_scratch`] for its buffer.
//!
//! Of the other rooms of this crate, this one may import only `protocol` (ARCHITECTURE.md, "Floors").

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

/// Why a record can't be read: what was expected, and at which byte. It never says what was found.
///
/// A record can hold values that must not be logged, and serde's own errors quote them: "invalid value: string
/// \"hunter2\"". So this error holds only the position and the names of types, fields and variants, which come from the
/// program. The text of a custom error is dropped, because it can hold a value.
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

    /// Whether the record holds an `Err` that the handler returned (`on_error = "record"`), and not a result. If an
    /// `on_decode` function answers such a duplicate with an `Ok`, it turns a failure into a success.
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

/// It has no details, because serde's own errors quote values.
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

/// Calls `work` with an empty buffer, which the thread keeps for the next call. So encoding allocates only the record
/// itself.
///
/// The buffer is taken out of its cell while it is used, so `work` may call this function again. It is overwritten
/// afterwards, because results can be secret.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    /// A larger buffer is not kept, so that one large result doesn't occupy memory in each thread for ever.
    const KEPT: usize = 64 * 1024;

    thread_local! {
        static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    // While a thread ends, the cell is gone, and this is a new buffer.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    let done = work(&mut scratch);
    if scratch.capacity() <= KEPT {
        scratch.fill(0);
        scratch.clear();
        let _ = SCRATCH.try_with(|cell| cell.set(scratch));
    }
    done
}

/// Appends the encoded value to `out`. After an error, `out` ends with a part of the value.
///
/// # Errors
///
/// The value's `Serialize` failed, or it is nested deeper than [`wire::LEVELS`].
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    value.serialize(&mut ser::Encoder::<false>::new(out))
}

/// As [`encode`], but two equal maps have the same bytes: the entries are sorted by their encoded keys, and each length
/// is definite (RFC 8949, section 4.2.1).
///
/// Two equal `HashSet`s can have different bytes, because serde writes a set as a sequence.
///
/// # Errors
///
/// As [`encode`].
pub(crate) fn encode_canonical<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    value.serialize(&mut ser::Encoder::<true>::new(out))
}

/// Decodes a value from all of `bytes`. `offset` is how many bytes of the record stand before them.
///
/// # Errors
///
/// The bytes aren't the encoding of a `T`.
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
