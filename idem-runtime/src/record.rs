//! What a [`Record`] holds: the version of its format, what kind of outcome it is, and the encoded outcome.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::claim::Record;
use crate::codec::{self, DecodeError};

/// The version of the format. A reader refuses what it doesn't know.
const FORMAT: u8 = 1;

const VALUE: u8 = 0;
const ERROR: u8 = 1;
const UNAVAILABLE: u8 = 2;

/// Where the encoded outcome begins.
const HEADER: usize = 2;

/// What a record says of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recorded<'a> {
    /// It returned `Ok`.
    Value(Encoded<'a>),
    /// It returned an `Err` that was to be recorded.
    Error(Encoded<'a>),
    /// It returned what could not be kept.
    Unavailable,
}

/// An encoded value within a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded<'a>(&'a [u8]);

impl Encoded<'_> {
    /// The value.
    ///
    /// # Errors
    ///
    /// What was expected, and at which byte of the record.
    pub fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        codec::decode(self.0, HEADER)
    }
}

/// A result, as it is replayed; `None` if it can't be encoded.
pub(crate) fn encode_value<T: Serialize + ?Sized>(value: &T) -> Option<Record> {
    encode(VALUE, value)
}

/// A failure, as it is replayed; `None` if it can't be encoded.
pub(crate) fn encode_error<E: Serialize + ?Sized>(error: &E) -> Option<Record> {
    encode(ERROR, error)
}

/// In the place of an outcome that can't be encoded, or is too large for the store.
pub(crate) fn unavailable() -> Record {
    Record::from_bytes(&[FORMAT, UNAVAILABLE])
}

fn encode<T: Serialize + ?Sized>(kind: u8, value: &T) -> Option<Record> {
    codec::with_scratch(|scratch| {
        scratch.extend_from_slice(&[FORMAT, kind]);
        codec::encode(value, scratch).ok().map(|()| Record::from_bytes(scratch))
    })
}

/// What a record says.
///
/// # Errors
///
/// Where its first bytes aren't those of a record.
pub(crate) fn read(record: &Record) -> Result<Recorded<'_>, DecodeError> {
    match record.as_bytes() {
        [FORMAT, VALUE, value @ ..] => Ok(Recorded::Value(Encoded(value))),
        [FORMAT, ERROR, error @ ..] => Ok(Recorded::Error(Encoded(error))),
        [FORMAT, UNAVAILABLE] => Ok(Recorded::Unavailable),
        [FORMAT, ..] => Err(DecodeError::expected("the kind of the outcome", 1)),
        _ => Err(DecodeError::expected("a record of format version 1", 0)),
    }
}
