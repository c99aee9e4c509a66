//! Types whose `Serialize` or `Deserialize` isn't well-behaved, and those that another deploy has changed.

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::depth::list;
use super::round_trips::{External, Newtype};
use super::{bytes, canonical, decode, encode, error_of};

#[test]
fn r16_fields_come_and_go_across_a_deploy() {
    #[derive(Serialize)]
    struct Old {
        id: u32,
        dropped: BTreeMap<Vec<Option<Option<u8>>>, (f64, External)>,
        renamed: u128,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct New {
        #[serde(default = "seven")]
        with_default: u8,
        optional: Option<u8>,
        #[serde(alias = "renamed")]
        name: u128,
        id: u64,
    }
    fn seven() -> u8 {
        7
    }
    let old = Old {
        id: 3,
        dropped: BTreeMap::from([(vec![Some(None)], (1.0, External::Struct { a: Some(()), b: Box::new(None) }))]),
        renamed: u128::MAX,
    };
    let new = New { with_default: 7, optional: None, name: u128::MAX, id: 3 };
    assert_eq!(Ok(&new), decode(&bytes(&old), 0).as_ref());
    assert_eq!(Ok(Some(5)), decode::<Option<u8>>(&bytes(&5_u8), 0), "a value became optional");
    assert_eq!(Ok(Newtype(5_u8)), decode(&bytes(&5_u8), 0), "a value got a type of its own");
    let missing = error_of::<New>(&bytes(&BTreeMap::from([("id", 3)])));
    assert!(missing.to_string().starts_with("expected the field `name` at byte 0"), "{missing}");
}

#[test]
fn r04_a_wrong_length_from_a_type_does_no_harm() {
    struct Liar(usize);
    impl Serialize for Liar {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut outer = serializer.serialize_struct("Liar", self.0)?;
            outer.serialize_field("seq", &LyingSeq(self.0))?;
            outer.serialize_field("map", &LyingMap(self.0))?;
            outer.end()
        }
    }
    struct LyingSeq(usize);
    impl Serialize for LyingSeq {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut seq = serializer.serialize_seq(Some(self.0))?;
            for n in 0..30 {
                seq.serialize_element(&n)?;
            }
            seq.end()
        }
    }
    struct LyingMap(usize);
    impl Serialize for LyingMap {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.0))?;
            for n in (0..30).rev() {
                map.serialize_entry(&n, &Some(()))?;
            }
            map.end()
        }
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Honest {
        seq: Vec<u8>,
        map: BTreeMap<u8, Option<()>>,
    }
    let honest = Honest { seq: (0..30).collect(), map: (0..30).map(|n| (n, Some(()))).collect() };
    for announced in [0, 2, 23, 24, 30, 1000, usize::MAX] {
        assert_eq!(Ok(&honest), decode(&bytes(&Liar(announced)), 0).as_ref());
        assert_eq!(canonical(&honest), canonical(&Liar(announced)));
    }
}

#[test]
fn a_failed_serialize_is_an_error() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("secret"))
        }
    }
    let error = encode(&vec![Some(Fails)], &mut Vec::new()).expect_err("it fails");
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn r16_a_field_that_ignores_its_errors_leaves_the_rest_readable() {
    #[expect(clippy::unnecessary_wraps, reason = "serde's signature")]
    fn or_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u8, u8)>, D::Error> {
        Ok(Deserialize::deserialize(deserializer).unwrap_or_default())
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Lenient {
        #[serde(deserialize_with = "or_default")]
        pairs: Vec<(u8, u8)>,
        last: u8,
    }
    #[derive(Serialize)]
    struct Written<T> {
        pairs: T,
        last: u8,
    }
    let expected = Ok(Lenient { pairs: vec![], last: 9 });
    assert_eq!(expected, decode(&bytes(&Written { pairs: "text", last: 9 }), 0));
    assert_eq!(expected, decode(&bytes(&Written { pairs: vec![(1, 2), (300, 4), (5, 6)], last: 9 }), 0));
    assert_eq!(expected, decode(&bytes(&Written { pairs: ((1, 2, 3), [Some(())], External::Unit), last: 9 }), 0));
    assert_eq!(expected, decode(&bytes(&Written { pairs: list(3), last: 9 }), 0));
}

#[test]
fn r04_text_that_is_formatted_has_its_length() {
    struct Shown(String);
    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }
    for len in [0, 1, 23, 24, 255, 256, 70_000] {
        let text = "y".repeat(len);
        assert_eq!(bytes(&text), bytes(&Shown(text.clone())));
        assert_eq!(bytes(&(1, Some(&text), 2)), bytes(&(1, Some(Shown(text.clone())), 2)));
    }
}
