//! What the encoding promises.

mod canonical;
mod damage;
mod deploys;
mod depth;
mod digests;
mod numbers;
mod round_trips;
mod secrecy;
mod unruly;
mod vectors;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DecodeError, decode, encode, encode_canonical, with_scratch};

fn bytes<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode(value, &mut out).expect("it can be encoded");
    out
}

fn canonical<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    encode_canonical(value, &mut out).expect("it can be encoded");
    out
}

/// Every form of a value gives it back, and no part of its bytes gives anything.
#[track_caller]
fn round_trips<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    for encoded in [bytes(value), canonical(value)] {
        match decode::<T>(&encoded, 0) {
            Ok(decoded) => assert_eq!(*value, decoded, "from {encoded:02x?}"),
            Err(error) => panic!("{value:?} as {encoded:02x?}: {error}"),
        }
        for end in 0..encoded.len() {
            assert!(decode::<T>(&encoded[..end], 0).is_err(), "{value:?} from {end} bytes of {encoded:02x?}");
        }
        let mut longer = encoded;
        longer.push(0);
        assert!(decode::<T>(&longer, 0).is_err(), "{value:?} from one byte too many");
    }
}

fn error_of<T: DeserializeOwned>(bytes: &[u8]) -> DecodeError {
    match decode::<T>(bytes, 0) {
        Ok(_) => panic!("{bytes:02x?} was read as {}", std::any::type_name::<T>()),
        Err(error) => error,
    }
}

/// A byte string to serde, which a `Vec<u8>` isn't.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E>(self, v: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(v.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Visitor)
    }
}

#[test]
fn the_scratch_is_empty_reused_and_not_kept_when_large() {
    let first = with_scratch(|scratch| {
        scratch.extend_from_slice(b"secret");
        // A nested call gets another buffer.
        with_scratch(|inner| {
            assert!(inner.is_empty());
            inner.push(1);
        });
        assert_eq!(scratch, b"secret");
        scratch.as_ptr() as usize
    });
    with_scratch(|scratch| {
        assert!(scratch.is_empty());
        assert!(scratch.capacity() > 0);
        assert_eq!(first, scratch.as_ptr() as usize);
        scratch.reserve(64 * 1024 + 1);
    });
    with_scratch(|scratch| assert_eq!(0, scratch.capacity()));
}

#[test]
fn the_scratch_survives_a_panic() {
    let panicked = std::panic::catch_unwind(|| {
        with_scratch(|scratch| {
            scratch.push(1);
            panic!("on purpose");
        })
    });
    assert!(panicked.is_err());
    with_scratch(|scratch| assert!(scratch.is_empty()));
}
