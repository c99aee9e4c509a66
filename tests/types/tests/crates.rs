//! Types of many crates, with their default serde features.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use idem_types::{comes_back, comes_back_unbuffered};
use serde::{Deserialize, Serialize};

fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

#[tokio::test]
async fn r04_the_standard_library() {
    comes_back(String::from("\0 text")).await;
    comes_back('\u{10ffff}').await;
    comes_back((u64::MAX, i64::MIN, f32::MIN_POSITIVE, f64::INFINITY, true)).await;
    comes_back_unbuffered(&(u128::MAX, i128::MIN)).await;
    comes_back([[1_u8; 3]; 2]).await;
    comes_back(VecDeque::from([1_u8, 2])).await;
    comes_back(BTreeSet::from([Some(1_u8), None])).await;
    comes_back(HashSet::from([(1_u8, 'a'), (2, 'b')])).await;
    comes_back(HashMap::from([(1_u64, vec![1_u8]), (u64::MAX, vec![])])).await;
    comes_back(BTreeMap::from([(-1_i64, "a".to_owned()), (1, String::new())])).await;
    comes_back(Result::<Option<u8>, String>::Ok(None)).await;
    comes_back(Bound::Excluded(1_u8)).await;
    comes_back(1..=3_u8).await;
    comes_back(Duration::new(u64::MAX, 999_999_999)).await;
    comes_back(SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 1)).await;
    comes_back(NonZeroU64::MAX).await;
    comes_back(parsed::<IpAddr>("2001:db8::1")).await;
    comes_back(parsed::<SocketAddr>("[2001:db8::1%1]:80")).await;
    comes_back(PathBuf::from("/a/b c")).await;
    comes_back(Arc::<str>::from("shared")).await;
    comes_back(Box::<[u8]>::from([1, 2])).await;
}

#[tokio::test]
async fn r04_times() {
    comes_back(parsed::<chrono::DateTime<chrono::Utc>>("2026-11-29T12:00:00.123456789Z")).await;
    comes_back(parsed::<chrono::DateTime<chrono::FixedOffset>>("1969-12-31T23:59:59.9-03:30")).await;
    comes_back(parsed::<chrono::NaiveDate>("-0001-02-28")).await;
    comes_back(parsed::<chrono::NaiveTime>("23:59:60.5")).await;
    comes_back(chrono::TimeDelta::milliseconds(-1500)).await;
    comes_back(chrono::Weekday::Sun).await;
    comes_back(parsed::<jiff::Timestamp>("2026-11-29T12:00:00.123456789Z")).await;
    comes_back(parsed::<jiff::civil::DateTime>("-009999-01-01T00:00:00")).await;
    comes_back(parsed::<jiff::SignedDuration>("-PT1.5S")).await;
    comes_back(time::OffsetDateTime::UNIX_EPOCH - time::Duration::nanoseconds(1)).await;
    comes_back(time::Duration::new(-1, -5)).await;
    comes_back(time::Weekday::Friday).await;
}

#[tokio::test]
async fn r04_identifiers_addresses_and_versions() {
    comes_back(uuid::Uuid::from_u128(1 << 100)).await;
    comes_back(ulid::Ulid::from(1_u128 << 100)).await;
    comes_back(parsed::<url::Url>("https://example.org/a?b=c#d")).await;
    comes_back(parsed::<semver::Version>("1.2.3-rc.1+build")).await;
    comes_back(parsed::<semver::VersionReq>(">=1, <2")).await;
    comes_back(parsed::<ipnet::IpNet>("10.0.0.0/8")).await;
    comes_back(parsed::<ipnet::Ipv6Net>("2001:db8::/32")).await;
    comes_back(camino::Utf8PathBuf::from("/a/b c")).await;
}

#[tokio::test]
async fn r04_exact_numbers() {
    for text in ["0", "-0.10", "1.10", "100.0", "79228162514264337593543950335", "0.0000000000000000000000000001"] {
        comes_back(parsed::<rust_decimal::Decimal>(text)).await;
    }
    for text in ["1.10", "-1.1", "100.0", "5", "123456789012345678901234567890.1234567890"] {
        comes_back_unbuffered(&parsed::<bigdecimal::BigDecimal>(text)).await;
    }
    comes_back(parsed::<num_bigint::BigInt>("-123456789012345678901234567890")).await;
    comes_back(parsed::<num_bigint::BigUint>("0")).await;
    comes_back(num_complex::Complex64::new(-0.5, f64::INFINITY)).await;
    comes_back(num_rational::Ratio::new(-1_i64, 3)).await;
    comes_back(ordered_float::OrderedFloat(f64::NAN)).await;
    comes_back(ordered_float::NotNan::new(0.1_f32).expect("a number")).await;
    comes_back(glam::Vec3::new(0.1, -0.0, f32::MAX)).await;
    comes_back(glam::DMat4::IDENTITY).await;
    comes_back(geo_types::Geometry::from(geo_types::Point::new(8.5, 47.4))).await;
}

#[tokio::test]
async fn r04_bytes_and_text() {
    comes_back(serde_bytes::ByteBuf::from([0, 255])).await;
    comes_back(serde_bytes::ByteArray::new([0, 255])).await;
    comes_back(bytes::Bytes::from_static(&[0, 255])).await;
    comes_back(compact_str::CompactString::from("a text that is longer than twenty-four bytes")).await;
    comes_back(smol_str::SmolStr::from("text")).await;
}

#[tokio::test]
async fn r04_collections() {
    let mut indexed = indexmap::IndexMap::new();
    indexed.extend([(3_u8, 'c'), (1, 'a'), (2, 'b')]);
    comes_back(indexed.clone()).await;
    comes_back(indexed.keys().copied().collect::<indexmap::IndexSet<_>>()).await;
    // Compares the order too, which `IndexMap`'s `==` ignores.
    comes_back(indexed.into_iter().collect::<Vec<_>>()).await;
    comes_back(hashbrown::HashMap::<u8, u8>::from_iter([(1, 2), (3, 4)])).await;
    comes_back(smallvec::SmallVec::<[u8; 2]>::from_slice(&[1, 2, 3])).await;
    comes_back(arrayvec::ArrayVec::<u8, 4>::from_iter([1, 2])).await;
    comes_back(arrayvec::ArrayString::<8>::from("text").expect("it fits")).await;
    comes_back(tinyvec::TinyVec::<[u8; 2]>::from([1, 2].as_slice())).await;
    comes_back(either::Either::<u8, String>::Right("r".into())).await;
    comes_back(bitvec::vec::BitVec::<u8, bitvec::order::Msb0>::from_iter([true, false, true])).await;
}

bitflags::bitflags! {
    #[derive(Clone, Debug, PartialEq)]
    struct Flags: u32 {
        const READ = 1;
        const WRITE = 2;
        const _ = !0;
    }
}

impl Serialize for Flags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bitflags::serde::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bitflags::serde::deserialize(deserializer)
    }
}

#[derive(Clone, Debug, PartialEq, serde_repr::Serialize_repr, serde_repr::Deserialize_repr)]
#[repr(u8)]
enum Repr {
    Two = 2,
    Nine = 9,
}

#[derive(Clone, Debug, PartialEq, serde_tuple::Serialize_tuple, serde_tuple::Deserialize_tuple)]
struct Tuple {
    fee: u64,
    cents: u64,
}

#[tokio::test]
async fn r04_derives_of_others() {
    comes_back(Flags::READ | Flags::WRITE).await;
    comes_back(Flags::from_bits_retain(1 << 20)).await;
    comes_back(vec![Repr::Two, Repr::Nine]).await;
    comes_back(Tuple { fee: 5, cents: 1 }).await;
}

#[tokio::test]
async fn r04_documents_of_other_formats() {
    let document = bson::doc! {
        "id": bson::oid::ObjectId::from_bytes([7; 12]),
        "at": bson::DateTime::from_millis(1_700_000_000_123),
        "cents": 5_i32,
        "large": i64::MAX,
        "rate": 0.1,
        "list": [true, bson::Bson::Null, "text"],
        "binary": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 255] },
        "within": { "regex": bson::Regex { pattern: "a.b".try_into().expect("no nul"), options: "i".try_into().expect("no nul") } },
    };
    comes_back(document.clone()).await;
    comes_back(bson::Bson::Document(document)).await;
    let text = "at = 2026-11-29T12:00:00Z\nrate = 0.1\n[within]\nlist = [1, 2]";
    let table: toml::Table = toml::from_str(text).expect("it is TOML");
    comes_back(table["within"].clone()).await;
    comes_back(table).await;
    let value = ciborium::Value::Map(vec![
        (ciborium::Value::Integer(5.into()), ciborium::Value::Bytes(vec![0, 255])),
        (ciborium::Value::Text("rate".into()), ciborium::Value::Array(vec![ciborium::Value::Float(0.1), true.into()])),
    ]);
    comes_back(value).await;
}

/// Only with values that are text: `http-serde` drops others without an error, as the book says.
#[tokio::test]
async fn r04_http() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Answer {
        #[serde(with = "http_serde::status_code")]
        status: http::StatusCode,
        #[serde(with = "http_serde::header_map")]
        headers: http::HeaderMap,
        #[serde(with = "http_serde::method")]
        method: http::Method,
        #[serde(with = "http_serde::uri")]
        uri: http::Uri,
    }
    let mut headers = http::HeaderMap::new();
    headers.append("x-name", http::HeaderValue::from_static("one"));
    headers.append("x-name", http::HeaderValue::from_static("two"));
    headers.append("etag", http::HeaderValue::from_static("\"e\""));
    let answer = Answer {
        status: http::StatusCode::ACCEPTED,
        headers,
        method: http::Method::PATCH,
        uri: http::Uri::from_static("/a?b=c"),
    };
    comes_back(answer).await;
}
