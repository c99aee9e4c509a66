//! The bytes of a [`Record`]: the version of its format, the kind of the outcome, and the encoded outcome.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, DecodeError};
use crate::protocol::Record;

/// The version of the format. A reader refuses any other version.
const FORMAT: u8 = 1;

const VALUE: u8 = 0;
const ERROR: u8 = 1;
const UNAVAILABLE: u8 = 2;

/// The offset of the encoded outcome.
const HEADER: usize = 2;

/// The outcome in a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recorded<'a> {
    /// The handler returned `Ok`.
    Value(Encoded<'a>),
    /// The handler returned an `Err`, and `on_error` says to record it.
    Error(Encoded<'a>),
    /// The outcome could not be encoded or was too large, so it was not kept.
    Unavailable,
}

/// An encoded value within a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Encoded<'a>(&'a [u8]);

/// Shows only the size, as a [`Record`] does.
impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded({} bytes)", self.0.len())
    }
}

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

impl Record {
    /// The recorded outcome as text: `result: ` or `error: `, and the value in CBOR's diagnostic notation ([RFC 8949,
    /// section 8](https://www.rfc-editor.org/rfc/rfc8949#section-8)), which is JSON for each value that JSON can
    /// express. `13(null)` is `Some(None)`. Control characters in a text are escaped.
    ///
    /// It is meant for an operator. Don't log it: a result can hold values that must not be logged, so neither
    /// [`Debug`] nor an error shows it. It also describes bytes that are damaged or are no record.
    ///
    /// ```
    /// use std::time::Duration;
    /// use idem_runtime::admin::Resolution;
    ///
    /// let found = Resolution::executed(&("receipt-1", 500), Duration::from_secs(60))?;
    /// let Resolution::Executed { record, .. } = found else { unreachable!() };
    /// assert_eq!(record.describe(), r#"result: ["receipt-1", 500]"#);
    /// # Ok::<(), idem_runtime::Error>(())
    /// ```
    pub fn describe(&self) -> String {
        match read(self) {
            Ok(Recorded::Value(value)) => format!("result: {}", codec::describe(value.0, HEADER)),
            Ok(Recorded::Error(error)) => format!("error: {}", codec::describe(error.0, HEADER)),
            Ok(Recorded::Unavailable) => "no result: it can't be encoded, or is larger than the store takes".to_owned(),
            Err(error) => format!("no record ({error}): {}", codec::describe_bytes(self.as_bytes())),
        }
    }
}

/// The record of a result. `None` if it can't be encoded.
pub(crate) fn encode_value<T: Serialize + ?Sized>(value: &T) -> Option<Record> {
    encode(VALUE, value)
}

/// The record of a handler's error. `None` if it can't be encoded.
pub(crate) fn encode_error<E: Serialize + ?Sized>(error: &E) -> Option<Record> {
    encode(ERROR, error)
}

/// The record of an outcome that can't be encoded or is too large for the store.
pub(crate) fn unavailable() -> Record {
    Record::from_bytes(&[FORMAT, UNAVAILABLE])
}

fn encode<T: Serialize + ?Sized>(kind: u8, value: &T) -> Option<Record> {
    codec::with_scratch(|scratch| {
        scratch.extend_from_slice(&[FORMAT, kind]);
        codec::encode(value, scratch).ok().map(|()| Record::from_bytes(scratch))
    })
}

/// The outcome in a record.
///
/// # Errors
///
/// The first bytes aren't those of a record.
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
    fn r19_a_record_is_described_when_asked_and_by_no_debug_form() {
        let value = encode_value(&("hunter2", 42)).expect("it can be encoded");
        assert_eq!(value.describe(), r#"result: ["hunter2", 42]"#);
        assert_eq!(format!("{value:?} {:?}", read(&value)), "Record(13 bytes) Ok(Value(Encoded(11 bytes)))");
        let error = encode_error("no funds").expect("it can be encoded");
        assert_eq!(error.describe(), r#"error: "no funds""#);
        assert_eq!(unavailable().describe(), "no result: it can't be encoded, or is larger than the store takes");
        let unknown = Record::from_bytes(&[FORMAT + 1, 0xab]);
        assert_eq!(
            unknown.describe(),
            format!("no record (expected a record of format version {FORMAT} at byte 0): h'{:02x}ab'", FORMAT + 1)
        );
        let damaged = Record::from_bytes(&value.as_bytes()[..5]);
        assert!(damaged.describe().starts_with("result: [ (damaged: expected"), "{}", damaged.describe());
    }

    #[test]
    fn r16_positions_count_from_the_beginning_of_the_record() {
        let record = encode_value(&(1, "text")).expect("it can be encoded");
        let Ok(Recorded::Value(encoded)) = read(&record) else { panic!("{:?}", read(&record)) };
        let error = encoded.decode::<(u8, u8)>().expect_err("text isn't a number");
        assert_eq!("expected u8 at byte 4, reading `(u8, u8)`", error.to_string());
    }
}
