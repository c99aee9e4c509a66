//! The encoding of results and fingerprints.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a record can't be read: what was expected, and where. Never what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    expected: String,
    at: usize,
}

impl DecodeError {
    pub(crate) fn expected(expected: impl Into<String>, at: usize) -> Self {
        Self { expected: expected.into(), at }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)
    }
}

impl std::error::Error for DecodeError {}

/// Says nothing: serde's own errors quote values.
#[derive(Debug)]
pub(crate) struct EncodeError;

pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    work(&mut Vec::new())
}

pub(crate) fn encode<T: Serialize + ?Sized>(_value: &T, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
    Err(EncodeError)
}

pub(crate) fn encode_canonical<T: Serialize + ?Sized>(_value: &T, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
    Err(EncodeError)
}

pub(crate) fn decode<T: DeserializeOwned>(_bytes: &[u8], offset: usize) -> Result<T, DecodeError> {
    Err(DecodeError::expected("a decoder", offset))
}
