//! RFC 8949, Appendix A, as far as values are written that way here.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serializer};

use super::{Bytes, bytes, decode};

fn hex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

#[track_caller]
fn is<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T, expected: &str) {
    assert_eq!(hex(expected), bytes(&value), "{value:?}");
    assert_eq!(Ok(value), decode(&hex(expected), 0));
}

#[test]
fn r16_integers() {
    is(0_u64, "00");
    is(1_u8, "01");
    is(10_u16, "0a");
    is(23_u32, "17");
    is(24_u8, "1818");
    is(25_i64, "1819");
    is(100_u64, "1864");
    is(255_u64, "18ff");
    is(256_u64, "190100");
    is(1000_i16, "1903e8");
    is(65_535_u32, "19ffff");
    is(65_536_u32, "1a00010000");
    is(1_000_000_u32, "1a000f4240");
    is(u32::MAX, "1affffffff");
    is(1_u64 << 32, "1b0000000100000000");
    is(1_000_000_000_000_u64, "1b000000e8d4a51000");
    is(18_446_744_073_709_551_615_u64, "1bffffffffffffffff");
    is(18_446_744_073_709_551_615_u128, "1bffffffffffffffff");
    is(18_446_744_073_709_551_616_u128, "c249010000000000000000");
    is(18_446_744_073_709_551_616_i128, "c249010000000000000000");
    is(-18_446_744_073_709_551_616_i128, "3bffffffffffffffff");
    is(-18_446_744_073_709_551_617_i128, "c349010000000000000000");
    is(-1_i8, "20");
    is(-10_i16, "29");
    is(-100_i32, "3863");
    is(-1000_i64, "3903e7");
    is(i64::MIN, "3b7fffffffffffffff");
}

#[test]
fn r16_floats() {
    is(100_000.0_f32, "fa47c35000");
    is(f32::MAX, "fa7f7fffff");
    is(f32::INFINITY, "fa7f800000");
    is(f32::NEG_INFINITY, "faff800000");
    is(1.1_f64, "fb3ff199999999999a");
    is(1.0e300_f64, "fb7e37e43c8800759c");
    is(-4.1_f64, "fbc010666666666666");
    is(f64::INFINITY, "fb7ff0000000000000");
    is(f64::NEG_INFINITY, "fbfff0000000000000");
    assert_eq!(hex("fa7fc00000"), bytes(&f32::NAN));
    assert_eq!(hex("fb7ff8000000000000"), bytes(&f64::NAN));
}

#[test]
fn r16_simple_values_and_strings() {
    is(false, "f4");
    is(true, "f5");
    is((), "f6");
    is(Option::<u8>::None, "f6");
    is(Bytes(vec![]), "40");
    is(Bytes(vec![1, 2, 3, 4]), "4401020304");
    is(String::new(), "60");
    is("a".to_owned(), "6161");
    is('a', "6161");
    is("IETF".to_owned(), "6449455446");
    is("\"\\".to_owned(), "62225c");
    is('\u{fc}', "62c3bc");
    is("\u{6c34}".to_owned(), "63e6b0b4");
    is('\u{10151}', "64f0908591");
}

#[test]
fn r16_arrays_and_maps() {
    is(Vec::<u8>::new(), "80");
    is([1, 2, 3], "83010203");
    is((1, [2, 3], (4, 5)), "8301820203820405");
    is((1..=25).collect::<Vec<u8>>(), "98190102030405060708090a0b0c0d0e0f101112131415161718181819");
    is(BTreeMap::<u8, u8>::new(), "a0");
    is(BTreeMap::from([(1, 2), (3, 4)]), "a201020304");

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Struct {
        a: u8,
        b: (u8, u8),
    }
    is(Struct { a: 1, b: (2, 3) }, "a26161016162820203");
    is(("a".to_owned(), BTreeMap::from([('b', 'c')])), "826161a161626163");

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Enum {
        A,
        B(u8),
    }
    is(Enum::A, "6141");
    is(Enum::B(1), "a1614201");
}

/// A sequence that doesn't know its length.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Stream<T>(Vec<T>);

impl<T: Serialize> Serialize for Stream<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter(|_| true))
    }
}

#[test]
fn r16_indefinite_lengths() {
    is((1, Stream(vec![2, 3])), "82019f0203ff");
    is(Stream(vec![Stream(vec![1]), Stream(vec![2])]), "9f9f01ff9f02ffff");

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, (u8, u8)>,
    }
    is(
        Flat { a: 1, rest: BTreeMap::from([("b".to_owned(), (2, 3))]) },
        "bf61610161 62820203ff".replace(' ', "").as_str(),
    );
    assert_eq!(Ok(vec![1, 2]), decode::<Vec<u8>>(&hex("9f0102ff"), 0));
    assert_eq!(Ok(Vec::new()), decode::<Vec<u8>>(&hex("9fff"), 0));
}

#[test]
fn r04_some_is_tagged_only_where_it_would_be_none() {
    is(Some(1), "01");
    is(Some(()), "cdf6");
    is(Some(Some(1)), "01");
    is(Some(Option::<u8>::None), "cdf6");
    is(Some(Some(Option::<u8>::None)), "cdcdf6");
}
