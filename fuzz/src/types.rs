//! Types that bytes are read as: one for each way in which serde represents a value.

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use serde::{Deserialize, Serialize};

/// A value of any kind, nested.
#[derive(Arbitrary, Debug, Serialize, Deserialize)]
pub(crate) enum Tree {
    Leaf,
    Nothing(()),
    Integers(i8, u64, i128, u128),
    Floats(f32, f64),
    Texts { text: String, letter: char, bytes: Bytes },
    Options(Option<Option<()>>, Option<Option<Option<u8>>>),
    Boxed(Option<Option<Box<Tree>>>),
    List(Vec<Tree>),
    Map(BTreeMap<Option<Vec<i16>>, Tree>),
    Named { list: Vec<Option<Newtype>>, fails: Result<Box<Tree>, String> },
    Tagged(Internal),
    Beside(Adjacent),
    Open(Flat),
}

#[derive(Arbitrary, Debug, Serialize, Deserialize)]
pub(crate) struct Newtype(Option<Option<bool>>);

/// A field of its own, so that serde buffers the others.
#[derive(Arbitrary, Debug, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(crate) enum Internal {
    Unit,
    Fields { id: u64, text: String, option: Option<Option<u8>> },
}

#[derive(Arbitrary, Debug, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
pub(crate) enum Adjacent {
    Unit,
    Newtype(Option<Option<i32>>),
    Pair(u8, Option<()>),
}

#[derive(Arbitrary, Debug, Serialize, Deserialize)]
pub(crate) struct Flat {
    id: u32,
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Arbitrary, Debug, Serialize, Deserialize)]
struct Inner {
    one: Option<Option<u8>>,
    two: Option<()>,
}

/// What a value is tried as until it fits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Any {
    Null(()),
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Any>),
    Map(BTreeMap<String, Any>),
    Option(Option<Option<u8>>),
}

/// A byte string to serde, which a `Vec<u8>` isn't.
#[derive(Arbitrary, Debug)]
pub(crate) struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Visitor)
    }
}
