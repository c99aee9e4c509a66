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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r16_a_value_and_an_error_come_back_as_what_they_were() {
        let value = encode_value(&Some(Option::<u8>::None)).expect("it can be encoded");
        let Ok(Recorded::Value(encoded)) = read(&value) else { panic!("{:?}", read(&value)) };
        assert_eq!(Ok(Some(Option::<u8>::None)), encoded.decode());

        let error = encode_error("no funds").expect("it can be encoded");
        let Ok(Recorded::Error(encoded)) = read(&error) else { panic!("{:?}", read(&error)) };
        assert_eq!(Ok("no funds".to_owned()), encoded.decode());
    }

    #[test]
    fn r15_what_cannot_be_kept_is_a_record_too() {
        assert_eq!(Ok(Recorded::Unavailable), read(&unavailable()));

        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        assert_eq!(None, encode_value(&Refuses));
        assert_eq!(None, encode_error(&vec![Refuses]));
    }

    #[test]
    fn r16_another_version_or_kind_is_refused() {
        for version in (0..=u8::MAX).filter(|version| *version != FORMAT) {
            let error = read(&Record::from_bytes(&[version, VALUE, 0])).expect_err("an unknown version");
            assert_eq!("expected a record of format version 1 at byte 0", error.to_string());
        }
        for kind in 3..=u8::MAX {
            let error = read(&Record::from_bytes(&[FORMAT, kind, 0])).expect_err("an unknown kind");
            assert_eq!("expected the kind of the outcome at byte 1", error.to_string());
        }
        assert!(read(&Record::from_bytes(&[])).is_err());
        assert!(read(&Record::from_bytes(&[FORMAT])).is_err());
        assert!(read(&Record::from_bytes(&[FORMAT, UNAVAILABLE, 0])).is_err());
    }

    #[test]
    fn r16_positions_count_from_the_beginning_of_the_record() {
        let record = encode_value(&(1, "text")).expect("it can be encoded");
        let Ok(Recorded::Value(encoded)) = read(&record) else { panic!("{:?}", read(&record)) };
        let error = encoded.decode::<(u8, u8)>().expect_err("text isn't a number");
        assert_eq!("expected u8 at byte 4, reading `(u8, u8)`", error.to_string());
    }
}
