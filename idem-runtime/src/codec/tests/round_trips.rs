//! What was encoded is what is decoded, for every type alike.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::{Duration, SystemTime};

use serde::ser::{SerializeMap, SerializeSeq, SerializeStruct};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::wire::LEVELS;
use super::{Bytes, bytes, canonical, decode, encode, error_of, round_trips};

#[test]
fn r04_scalars() {
    round_trips(&());
    round_trips(&false);
    round_trips(&true);
    for n in [0, 1, 23, 24, 255] {
        round_trips(&n);
    }
    for shift in 0..128 {
        for n in [1_u128 << shift, (1 << shift) - 1, u128::MAX >> shift] {
            round_trips(&n);
            round_trips(&(n as u64));
            round_trips(&(n as i64));
            round_trips(&(n as i128));
            round_trips(&!(n as i128));
            round_trips(&(n as i32));
        }
    }
    round_trips(&(i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN));
    round_trips(&(i8::MAX, i16::MAX, i32::MAX, i64::MAX, i128::MAX));
    round_trips(&(u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX));
    for c in ['\0', 'a', '\u{7f}', '\u{80}', '\u{7ff}', '\u{ffff}', char::MAX] {
        round_trips(&c);
    }
    for len in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
        let text = "x".repeat(len);
        assert_eq!(Ok(&text), decode(&bytes(&text), 0).as_ref());
        let raw = Bytes(vec![0xff; len]);
        assert_eq!(Ok(&raw), decode(&bytes(&raw), 0).as_ref());
    }
}

#[test]
fn r16_floats_keep_every_bit() {
    let patterns = (0..64).map(|shift| 1_u64 << shift).flat_map(|bit| [bit, bit - 1, !bit, bit | 0x7ff << 52]);
    for bits in patterns {
        let f64 = f64::from_bits(bits);
        assert_eq!(Ok(bits), decode::<f64>(&bytes(&f64), 0).map(f64::to_bits));
        assert_eq!(Ok(Some(bits)), decode::<Option<f64>>(&bytes(&Some(f64)), 0).map(|f| f.map(f64::to_bits)));
        let bits = (bits >> 32) as u32;
        let f32 = f32::from_bits(bits);
        assert_eq!(Ok(bits), decode::<f32>(&bytes(&f32), 0).map(f32::to_bits));
    }
    assert_eq!(Ok((-0.0_f64).to_bits()), decode::<f64>(&bytes(&-0.0_f64), 0).map(f64::to_bits));
    // A field whose type was widened.
    assert_eq!(Ok(1.5), decode::<f64>(&bytes(&1.5_f32), 0));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newtype<T>(T);

#[test]
fn r04_options_of_everything() {
    round_trips(&Option::<u8>::None);
    round_trips(&Some(0_u8));
    round_trips(&Some(()));
    round_trips(&Option::<()>::None);
    round_trips(&Some(Unit));
    round_trips(&Option::<Unit>::None);
    for value in [None, Some(None), Some(Some(None)), Some(Some(Some(())))] {
        round_trips(&value);
        round_trips(&Newtype(value));
        round_trips(&Some(Newtype(value)));
        round_trips(&(value, value));
        round_trips(&BTreeMap::from([(value, value)]));
    }
    round_trips(&vec![None, Some(None), Some(Some(7_u8)), Some(None), None]);
    round_trips(&BTreeMap::<Option<u8>, ()>::from([(None, ()), (Some(1), ())]));
    round_trips(&Some(Newtype(Option::<u8>::None)));
    round_trips(&Some(Newtype(Some(Newtype(())))));
    round_trips(&Some(Vec::<u8>::new()));
    round_trips(&Some(String::new()));
    round_trips(&Some(false));
    round_trips(&Some(Result::<Option<u8>, ()>::Ok(None)));
    round_trips(&Result::<(), Option<()>>::Err(Some(())));
}

#[test]
fn r04_collections() {
    round_trips(&Vec::<u8>::new());
    round_trips(&BTreeMap::<u8, u8>::new());
    round_trips(&BTreeSet::from([3, 1, 2]));
    round_trips(&HashMap::<(u8, String), f32>::from([((1, "a".into()), 0.5), ((2, String::new()), f32::INFINITY)]));
    round_trips(&BTreeMap::from([(i128::MIN, 1), (-1, 2), (i128::MAX, 3)]));
    round_trips(&BTreeMap::from([(Some((1, 'x')), ()), (None, ())]));
    round_trips(&BTreeMap::from([(Bytes(vec![0, 0xff]), Bytes(vec![])), (Bytes(vec![]), Bytes(vec![0xf6]))]));
    round_trips(&BTreeMap::from([(vec![1], vec![BTreeMap::from([(true, 'a')])]), (vec![], vec![])]));
    round_trips(&BTreeMap::from([((), ())]));
    round_trips(&(0..300_u16).map(|n| (n, n.to_string())).collect::<BTreeMap<_, _>>());
    round_trips(&[[0_u8; 3]; 30]);
    round_trips(&((), Unit, [(); 3], vec![()]));
}

#[test]
fn r16_types_with_a_readable_form_are_written_as_they_are_read() {
    round_trips(&"192.168.0.1".parse::<IpAddr>().expect("an address"));
    round_trips(&"2001:db8::1".parse::<IpAddr>().expect("an address"));
    round_trips(&Duration::new(u64::MAX, 999_999_999));
    round_trips(&(SystemTime::UNIX_EPOCH + Duration::new(1, 2)));
    round_trips(&NonZeroU8::MIN);
    round_trips(&(1..=3));
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        hosts: BTreeMap<String, IpAddr>,
    }
    round_trips(&Flat { hosts: BTreeMap::from([("a".to_owned(), IpAddr::from([127, 0, 0, 1]))]) });
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum External {
    Unit,
    Newtype(Option<Option<u8>>),
    Nothing(()),
    Tuple(u8, f64),
    Empty {},
    Struct { a: Option<()>, b: Box<Option<External>> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Unit,
    Newtype(BTreeMap<String, Option<Option<u8>>>),
    Struct { a: Option<Option<()>>, map: BTreeMap<u64, f32>, nested: Vec<Internal>, external: Option<External> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Unit,
    Newtype(Option<Option<u8>>),
    Tuple(u8, Option<()>),
    Struct { a: Bytes },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Float(f64),
    Text(String),
    List(Vec<Untagged>),
    Named { a: Option<Option<Option<()>>>, b: External },
    Keys(BTreeMap<Option<i32>, Option<Option<u8>>>),
}

#[test]
fn r04_enums_of_every_representation() {
    let externals = [
        External::Unit,
        External::Newtype(None),
        External::Newtype(Some(None)),
        External::Newtype(Some(Some(1))),
        External::Nothing(()),
        External::Tuple(1, f64::NEG_INFINITY),
        External::Empty {},
        External::Struct { a: None, b: Box::new(None) },
        External::Struct { a: Some(()), b: Box::new(Some(External::Newtype(Some(None)))) },
    ];
    for value in &externals {
        round_trips(value);
        round_trips(&Some(Some(value.clone())));
        round_trips(&Internal::Struct {
            a: Some(None),
            map: BTreeMap::from([(u64::MAX, 1.5), (0, f32::INFINITY)]),
            nested: vec![Internal::Unit, Internal::Newtype(BTreeMap::from([("x".into(), Some(None))]))],
            external: Some(value.clone()),
        });
        for a in [None, Some(None), Some(Some(None)), Some(Some(Some(())))] {
            round_trips(&Untagged::Named { a, b: value.clone() });
        }
    }
    round_trips(&Internal::Unit);
    round_trips(&Internal::Newtype(BTreeMap::new()));
    for value in [
        Adjacent::Unit,
        Adjacent::Newtype(None),
        Adjacent::Newtype(Some(None)),
        Adjacent::Tuple(0, Some(())),
        Adjacent::Struct { a: Bytes(vec![1]) },
    ] {
        round_trips(&value);
        round_trips(&BTreeMap::from([("k".to_owned(), Some(value))]));
    }
    for value in [
        Untagged::Number(i64::MIN),
        Untagged::Float(f64::MAX),
        Untagged::Text("x".into()),
        Untagged::List(vec![Untagged::List(vec![]), Untagged::Number(1)]),
        Untagged::Keys(BTreeMap::from([(None, Some(None)), (Some(-1), None), (Some(3), Some(Some(3)))])),
    ] {
        round_trips(&value);
        round_trips(&vec![value.clone(), value]);
    }
    let variants = BTreeMap::from([("a".to_owned(), Result::<u8, String>::Ok(1)), ("b".to_owned(), Err("e".into()))]);
    round_trips(&variants);
}

#[test]
fn r04_flattened_fields() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        one: Option<Option<u8>>,
        two: Option<()>,
        raw: Bytes,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Outer {
        id: u32,
        #[serde(flatten)]
        inner: Inner,
        #[serde(flatten)]
        kind: Internal,
    }
    for (one, two) in [(None, None), (Some(None), Some(())), (Some(Some(0)), None)] {
        let inner = Inner { one, two, raw: Bytes(vec![0xcd, 0xf6]) };
        round_trips(&inner);
        round_trips(&Outer { id: 1, inner, kind: Internal::Unit });
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Open {
        id: u32,
        #[serde(flatten)]
        rest: BTreeMap<String, Option<Option<External>>>,
    }
    let rest = [("x", None), ("y", Some(None)), ("z", Some(Some(External::Newtype(Some(None)))))];
    round_trips(&Open { id: 1, rest: rest.into_iter().map(|(k, v)| (k.to_owned(), v)).collect() });
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct List {
    value: Option<Option<u8>>,
    next: Option<Box<List>>,
}

fn list(len: usize) -> Option<Box<List>> {
    (0..len).fold(None, |next, _| Some(Box::new(List { value: Some(None), next })))
}

#[test]
fn r04_recursive_types_as_deep_as_they_can_be_written() {
    round_trips(&list(10));
    // The struct and the `Some` are a level each, and the innermost value takes one.
    let deepest = list(usize::from(LEVELS) / 2 - 1);
    assert_eq!(Ok(&deepest), decode(&bytes(&deepest), 0).as_ref());
}

#[test]
fn r15_what_is_too_deep_to_be_read_is_not_written() {
    for len in [usize::from(LEVELS) / 2 + 1, 100 * usize::from(LEVELS)] {
        let mut list = list(len);
        assert!(encode(&list, &mut Vec::new()).is_err());
        // Dropped one by one: the compiler's drop of a list goes as deep as the list.
        while let Some(mut first) = list {
            list = first.next.take();
        }
    }
    // At each depth, a value is written only if it is read.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Deep {
        End,
        Newtype(Box<Deep>),
        Tuple(u8, Box<Deep>),
        Struct { deep: Box<Deep> },
        Option(Option<Newtype<Box<Deep>>>),
    }
    for wrap in [
        (|deep| Deep::Newtype(deep)) as fn(Box<Deep>) -> Deep,
        |deep| Deep::Tuple(1, deep),
        |deep| Deep::Struct { deep },
        |deep| Deep::Option(Some(Newtype(deep))),
    ] {
        let mut deep = Deep::End;
        let mut depth = 0;
        loop {
            let mut out = Vec::new();
            if encode(&deep, &mut out).is_err() {
                break;
            }
            assert_eq!(Ok(&deep), decode(&out, 0).as_ref());
            deep = wrap(Box::new(deep));
            depth += 1;
        }
        assert!(depth > usize::from(LEVELS) / 4 && depth <= usize::from(LEVELS) + 1, "{depth}");
    }
}

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
