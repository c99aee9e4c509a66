//! Records of another deploy, whose types were others: what isn't the same value is an error.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::{bytes, decode, error_of, round_trips};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Receipt {
    fee: u64,
    cents: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Payment {
    Due,
    Paid { fee: u64, cents: u64 },
    Refunded(Receipt),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Due,
    Paid { cents: u64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Due,
    Paid { fee: u64, cents: u64 },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Field<T> {
    field: T,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Variant<T> {
    Newtype(T),
    Struct { field: T },
    Tuple(u8, T),
}

/// `Old` isn't read as `New`, alone or within something, and what comes behind it is.
#[track_caller]
fn refuses<New: DeserializeOwned + Default + Debug + PartialEq>(old: &(impl Serialize + Clone)) {
    error_of::<New>(&bytes(old));
    error_of::<Option<New>>(&bytes(&Some(old)));
    error_of::<Vec<New>>(&bytes(&[old]));
    error_of::<(u8, New)>(&bytes(&(1, old)));
    error_of::<BTreeMap<u8, New>>(&bytes(&BTreeMap::from([(1, old)])));
    error_of::<Field<New>>(&bytes(&Field { field: old }));
    error_of::<Variant<New>>(&bytes(&Variant::Newtype(old)));
    error_of::<Variant<New>>(&bytes(&Variant::Struct { field: old }));
    error_of::<Variant<New>>(&bytes(&Variant::Tuple(1, old)));

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(bound = "T: DeserializeOwned + Default")]
    struct Lenient<T> {
        #[serde(deserialize_with = "or_default")]
        field: T,
        last: u8,
    }
    #[expect(clippy::unnecessary_wraps, reason = "serde's signature")]
    fn or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        Ok(T::deserialize(from).unwrap_or_default())
    }
    #[derive(Serialize)]
    struct Written<T> {
        field: T,
        last: u8,
    }
    let written = bytes(&Written { field: old.clone(), last: 9 });
    assert_eq!(Ok(Lenient { field: New::default(), last: 9 }), decode(&written, 0));
}

#[test]
fn r16_no_field_is_filled_by_position() {
    #[derive(Clone, Serialize)]
    struct List(Vec<u64>);
    #[derive(Clone, Serialize)]
    struct Pair(u64, u64);
    #[derive(Serialize)]
    enum Old<T> {
        Paid(T),
        Refunded(T),
    }
    #[derive(Serialize)]
    enum OldPair {
        Paid(u64, u64),
        Refunded(u64, u64),
    }

    refuses::<Receipt>(&(5, 1));
    refuses::<Receipt>(&[5, 1]);
    refuses::<Receipt>(&vec![5, 1]);
    refuses::<Receipt>(&List(vec![5, 1]));
    refuses::<Receipt>(&Pair(5, 1));
    for old in [bytes(&OldPair::Paid(5, 1)), bytes(&Old::Paid((5, 1))), bytes(&Old::Paid(List(vec![5, 1])))] {
        error_of::<Payment>(&old);
        error_of::<Option<Payment>>(&old);
    }
    error_of::<Payment>(&bytes(&OldPair::Refunded(5, 1)));
    error_of::<Payment>(&bytes(&Old::Refunded((5, 1))));
    error_of::<Adjacent>(&bytes(&("Paid", (5, 1))));
    error_of::<Adjacent>(&bytes(&Field { field: ("Paid", (5, 1)) }));

    let error = error_of::<Receipt>(&bytes(&(5, 1)));
    assert!(error.to_string().starts_with("expected struct Receipt at byte 0, "), "{error}");
}

#[test]
fn r16_no_field_and_no_variant_is_found_by_index() {
    refuses::<Receipt>(&BTreeMap::from([(0, 5), (1, 1)]));
    refuses::<Receipt>(&BTreeMap::from([(u64::MAX, 5)]));
    refuses::<Receipt>(&BTreeMap::from([(-1, 5)]));
    for index in 0..3_u8 {
        error_of::<Payment>(&bytes(&BTreeMap::from([(index, ())])));
        error_of::<Payment>(&bytes(&BTreeMap::from([(index, Receipt::default())])));
        error_of::<Option<Payment>>(&bytes(&BTreeMap::from([(index, BTreeMap::from([("fee", 1), ("cents", 5)]))])));
        error_of::<Internal>(&bytes(&BTreeMap::from([("type", index), ("cents", 5)])));
        error_of::<Field<Internal>>(&bytes(&Field { field: BTreeMap::from([("type", index)]) }));
    }
    error_of::<Payment>(&bytes(&BTreeMap::from([("Paid", BTreeMap::from([(0, 5), (1, 1)]))])));
    error_of::<Adjacent>(&bytes(&BTreeMap::from([(0, "Due")])));
}

/// Under `flatten` a key can be a number, and none is an index.
#[test]
fn r16_flattened_keys_are_of_any_type() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Open<K: Ord> {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<K, u64>,
    }
    round_trips(&Open { id: 1, rest: BTreeMap::from([(0_u64, 5), (1, 6), (u64::MAX, 7)]) });
    round_trips(&Open { id: 1, rest: BTreeMap::from([(i64::MIN, 5), (0, 6), (i64::MAX, 7)]) });
    round_trips(&Open { id: 1, rest: BTreeMap::from([(Some(0_u8), 5), (Some(1), 6)]) });
}

#[test]
fn r16_an_integer_is_no_float_that_cannot_hold_it() {
    const F64: i64 = 1 << f64::MANTISSA_DIGITS;
    const F32: i64 = 1 << f32::MANTISSA_DIGITS;

    for n in [F64 + 1, -F64 - 1, i64::MAX, i64::MIN + 1, 2 * F64 + 2, 49_163_385_060_828_321] {
        refuses::<f64>(&n);
        refuses::<f32>(&n);
    }
    refuses::<f64>(&u64::MAX);
    for n in [F32 + 1, -F32 - 1, 2 * F32 + 2] {
        refuses::<f32>(&n);
        assert_eq!(Ok(n as f64), decode(&bytes(&n), 0));
    }
    for n in [0, 1, -1, 23, F64 - 1, F64, -F64, F64 + 2, i64::MIN] {
        assert_eq!(Ok(n as f64), decode(&bytes(&n), 0));
        assert_eq!(Ok(Some(n as f64)), decode(&bytes(&n), 0));
        assert_eq!(Ok(Field { field: n as f64 }), decode(&bytes(&Field { field: n }), 0));
    }
    for n in [0, 1, F32, -F32, F32 + 2, i64::MIN, 1 << 62] {
        assert_eq!(Ok(n as f32), decode(&bytes(&n), 0));
    }
    assert_eq!(Ok((1_u64 << 63) as f64), decode(&bytes(&(1_u64 << 63)), 0));

    let error = error_of::<f64>(&bytes(&(F64 + 1)));
    assert_eq!("expected an integer that a float holds exactly at byte 0, reading `f64`", error.to_string());
}

#[test]
fn r16_a_float_stays_finite_and_other_than_zero() {
    for wide in [1e300, -1e300, f64::MAX, 1e39, 1e-300, -1e-300, f64::MIN_POSITIVE] {
        refuses::<f32>(&wide);
    }
    for wide in [0.0, -0.0, 1.5, 0.1, f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE), f64::INFINITY] {
        for wide in [wide, -wide] {
            let narrow = decode::<f32>(&bytes(&wide), 0).map(f32::to_bits);
            assert_eq!(Ok((wide as f32).to_bits()), narrow);
            assert_eq!(Ok(Some(wide as f32)), decode(&bytes(&wide), 0));
        }
    }
    assert!(decode::<f32>(&bytes(&f64::NAN), 0).expect("it is a float").is_nan());
    let error = error_of::<f32>(&bytes(&1e300));
    assert_eq!("expected a number in the range of an f32 at byte 0, reading `f32`", error.to_string());
}

/// What serde has buffered it reads by itself, and less strictly. Were this to fail, the note in `codec.rs` is out of date.
#[test]
fn what_serde_reads_from_its_buffer() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged<T> {
        It(T),
    }
    let filled = Untagged::It(Receipt { fee: 5, cents: 1 });
    assert_eq!(Ok(&filled), decode(&bytes(&(5, 1)), 0).as_ref());
    assert_eq!(Ok(&filled), decode(&bytes(&BTreeMap::from([(0, 5), (1, 1)])), 0).as_ref());
    assert_eq!(Ok(Untagged::It(u64::MAX as f64)), decode(&bytes(&u64::MAX), 0));
    assert_eq!(Ok(Untagged::It(f32::INFINITY)), decode(&bytes(&1e300), 0));
}
