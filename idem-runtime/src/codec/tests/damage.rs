//! Bytes that are of no value.

use std::collections::{BTreeMap, HashMap};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::super::wire::LEVELS;
use super::{Bytes, bytes, decode, error_of, round_trips};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Any {
    Null(()),
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Any>),
    Map(BTreeMap<String, Any>),
    Option(Option<Option<u8>>),
}

/// A type that is nested where its bytes are not.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Peano(Option<Box<Peano>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Vec<Tree>, Option<Box<Tree>>),
    Named { text: String, raw: Bytes, map: BTreeMap<i8, Option<Option<f32>>>, big: i128 },
}

fn sample() -> Tree {
    let named = || Tree::Named {
        text: "a text that is longer than twenty-three bytes".into(),
        raw: Bytes(vec![1, 2, 3]),
        map: BTreeMap::from([(-1, Some(None)), (1, Some(Some(1.5))), (2, None)]),
        big: i128::MIN,
    };
    Tree::Node(vec![Tree::Leaf, named()], Some(Box::new(Tree::Node(vec![], Some(Box::new(named()))))))
}

const READERS: [fn(&[u8]); 9] = [
    |bytes| drop(decode::<Any>(bytes, 0)),
    |bytes| drop(decode::<Tree>(bytes, 0)),
    |bytes| drop(decode::<IgnoredAny>(bytes, 0)),
    |bytes| drop(decode::<Peano>(bytes, 0)),
    |bytes| drop(decode::<Option<Option<()>>>(bytes, 0)),
    |bytes| drop(decode::<Vec<(u8, String)>>(bytes, 0)),
    |bytes| drop(decode::<HashMap<String, Vec<u64>>>(bytes, 0)),
    |bytes| drop(decode::<(i128, u128, char)>(bytes, 0)),
    |bytes| drop(decode::<Bytes>(bytes, 0)),
];

/// Whatever the bytes are, it comes back.
fn read_as_everything(bytes: &[u8]) {
    for read in READERS {
        read(bytes);
    }
}

/// Xorshift (Marsaglia, 2003): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn r16_random_bytes_never_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut bytes = [0; 40];
    for round in 0..200_000 {
        let len = random.next() as usize % bytes.len();
        bytes[..len].fill_with(|| (random.next() >> 32) as u8);
        READERS[round % READERS.len()](&bytes[..len]);
    }
}

#[test]
fn r16_a_damaged_record_never_panics() {
    let whole = bytes(&sample());
    round_trips(&sample());
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        for byte in 0..=u8::MAX {
            damaged[at] = byte;
            READERS[0](&damaged);
            READERS[1](&damaged);
        }
        damaged.remove(at);
        read_as_everything(&damaged);
    }
}

#[test]
fn r16_a_length_is_not_believed() {
    for first in [0x40_u8, 0x60, 0x80, 0xa0] {
        for (width, len) in [(0x18_u8, 1_usize), (0x19, 2), (0x1a, 4), (0x1b, 8)] {
            let mut bytes = vec![first | width];
            bytes.extend(std::iter::repeat_n(0xff, len));
            bytes.extend([0; 8]);
            read_as_everything(&bytes);
            assert!(error_of::<IgnoredAny>(&bytes).to_string().contains("at byte 0"));
        }
    }
    // The largest that is believed is what is there.
    struct Hint;
    impl<'de> Deserialize<'de> for Hint {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Hint;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a sequence")
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Hint, A::Error> {
                    assert_eq!(Some(4), seq.size_hint());
                    while seq.next_element::<u8>()?.is_some() {}
                    Ok(Hint)
                }
            }
            deserializer.deserialize_seq(Visitor)
        }
    }
    assert!(decode::<Hint>(&[0x84, 0, 0, 0, 0], 0).is_ok());
    assert!(decode::<Hint>(&[0x85, 0, 0, 0, 0], 0).is_err());
}

#[test]
fn r16_nesting_has_an_end() {
    // Arrays, maps, variants and tags without end, definite or not.
    for unit in [&[0x81_u8][..], &[0x9f], &[0xa1, 0x60], &[0xbf, 0x60], &[0xcd], b"\xa1\x64Node\x82"] {
        for len in [LEVELS as usize - 1, LEVELS as usize, LEVELS as usize + 1, 1_000_000] {
            read_as_everything(&unit.repeat(len));
            let mut ended = unit.repeat(len);
            ended.push(0xf6);
            read_as_everything(&ended);
        }
    }
    // A type that could be nested for ever in one byte.
    assert!(decode::<Peano>(&[0x05], 0).is_err());
    let mut three = Peano(None);
    for _ in 0..3 {
        three = Peano(Some(Box::new(three)));
    }
    round_trips(&three);
}

#[test]
fn r16_other_cbor_is_an_error() {
    for (what, bytes) in [
        ("nothing", &b""[..]),
        ("a lone break", b"\xff"),
        ("a reserved length", b"\x1c"),
        ("an indefinite integer", b"\x1f"),
        ("an indefinite text", b"\x7f\x61a\xff"),
        ("an indefinite byte string", b"\x5f\x41a\xff"),
        ("undefined", b"\xf7"),
        ("a half", b"\xf9\x3c\x00"),
        ("another simple value", b"\xe0"),
        ("another tag", b"\xc1\x00"),
        ("a tag of two bytes", b"\xd8\x20\x60"),
        ("a bignum of another type", b"\xc2\x01"),
        ("a bignum of 17 bytes", b"\xc2\x51\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("a negative beyond 128 bits", b"\xc3\x50\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("a break in a definite array", b"\x81\xff"),
        ("a break instead of a value", b"\xbf\x61a\xff"),
        ("invalid UTF-8", b"\x62\xc3\x28"),
        ("a surrogate", b"\x63\xed\xa0\x80"),
    ] {
        assert!(decode::<IgnoredAny>(bytes, 0).is_err(), "{what}");
        assert!(decode::<Any>(bytes, 0).is_err(), "{what}");
        let mut within = b"\x82".to_vec();
        within.extend(bytes);
        within.push(0xf6);
        assert!(decode::<(IgnoredAny, ())>(&within, 0).is_err(), "{what}");
    }
    assert!(decode::<Tree>(b"\xa0", 0).is_err(), "a map without a variant");
    assert!(decode::<Tree>(b"\xbf\xff", 0).is_err(), "nor here");
    assert!(decode::<Tree>(b"\xa2\x64Leaf\xf6\x64Leaf\xf6", 0).is_err(), "two variants");
    assert!(decode::<Tree>(b"\xa1\x64Leaf\x01", 0).is_err(), "a unit variant with content");
    assert!(decode::<Tree>(b"\x64Node", 0).is_err(), "a variant without its content");
    let too_many = error_of::<(u8, u8)>(b"\x83\x01\x02\x03").to_string();
    assert!(too_many.starts_with("expected the end of the sequence at byte 3, "), "{too_many}");
    assert!(decode::<char>(b"\x62ab", 0).is_err(), "two characters");
}
