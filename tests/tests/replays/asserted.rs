//! `testing::assert_replays`: with it, a test finds values that change when they are recorded and replayed, without calling a handler.

use std::any::type_name;
use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, Utc};
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use idem_runtime::testing::{assert_replays, assert_replays_by};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The message of the assertion for a value that changes.
fn refused<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
    let refused = catch_unwind(AssertUnwindSafe(|| assert_replays(value))).unwrap_err();
    refused.downcast_ref::<String>().unwrap().clone()
}

/// Asserts that the value changes, alone and inside of other types, and that each message has the type and both values.
fn is_lost<T: Serialize + DeserializeOwned + PartialEq + Debug + Clone>(value: &T, lost: &str, got: &str) {
    fn says<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, lost: &str, got: &str) {
        let message = refused(value);
        let (recorded, replayed) = message.split_once("replayed: ").unwrap();
        assert!(recorded.contains(type_name::<T>()) && recorded.contains(lost), "{message}");
        assert!(replayed.contains(got) && !replayed.contains(lost), "{message}");
    }
    says(value, lost, got);
    says(&Some(value.clone()), lost, got);
    says(&vec![(1, value.clone())], lost, got);
    says(&Result::<T, ()>::Ok(value.clone()), lost, got);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skips {
    kept: u8,
    #[serde(skip)]
    skipped: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    #[serde(with = "http_serde::header_map")]
    headers: HeaderMap,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Booked {
    #[serde(with = "chrono::serde::ts_seconds")]
    at: DateTime<Utc>,
}

/// An error that a handler records, with fields that serde skips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Declined {
    Over {
        cents: u64,
        #[serde(skip)]
        trace: u64,
    },
}

#[test]
fn a_recorded_error_that_comes_back_as_less_fails() {
    is_lost(&Declined::Over { cents: 5, trace: 4_711 }, "4711", "trace: 0");
    assert_replays(&Declined::Over { cents: 5, trace: 0 });
}

#[test]
fn what_comes_back_as_less_fails() {
    is_lost(&Skips { kept: 1, skipped: 4_711 }, "4711", "skipped: 0");

    let mut headers = HeaderMap::new();
    headers.insert("x-name", HeaderValue::from_bytes(b"caf\xe9").unwrap());
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    is_lost(&Answer { headers }, "caf", "*/*");

    let at = DateTime::from_timestamp_millis(1_500).unwrap();
    is_lost(&Booked { at }, "00:00:01.500", "00:00:01Z");
}

#[test]
fn what_comes_back_as_it_went_passes() {
    assert_replays(&());
    assert_replays(&Some(Option::<u8>::None));
    assert_replays(&Skips { kept: 1, skipped: 0 });
    assert_replays(&Booked { at: DateTime::from_timestamp_millis(1_000).unwrap() });
    assert_replays(&DateTime::from_timestamp_millis(1_500));
    assert_replays(&(0..100).collect::<HashSet<u32>>());
    assert_replays(&(0..100).map(|n| (n, n.to_string())).collect::<HashMap<u32, String>>());
    assert_replays(&Some((0..100).map(|n| [n].into()).collect::<Vec<HashSet<u32>>>()));
}

/// A type whose `Serialize` doesn't match its `Deserialize`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Uneven(u8);

impl Serialize for Uneven {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 == 0 { Err(serde::ser::Error::custom("no")) } else { serializer.serialize_str("uneven") }
    }
}

#[test]
fn what_can_not_be_read_or_recorded_fails() {
    for message in [refused(&Uneven(1)), refused(&Some(Uneven(1)))] {
        assert!(message.contains("Uneven") && message.contains("expected: \"u8\""), "{message}");
    }
    for message in [refused(&Uneven(0)), refused(&[Uneven(0)])] {
        assert!(message.contains("Uneven") && message.contains("can't be recorded"), "{message}");
    }
}

/// A type that is written as a list and read as a struct. Other formats fill such a struct by position.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Listed {
    fee: u64,
    cents: u64,
}

impl Serialize for Listed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.fee, self.cents).serialize(serializer)
    }
}

#[test]
fn a_struct_that_is_written_as_a_list_fails() {
    let listed = Listed { fee: 1, cents: 2 };
    for message in [refused(&listed), refused(&Some(listed.clone())), refused(&vec![(1, listed)])] {
        assert!(message.contains("expected: \"struct Listed\""), "{message}");
    }
}

#[test]
fn a_caller_can_say_what_is_the_same() {
    let same = |one: &Skips, other: &Skips| one.kept == other.kept;
    assert_replays_by(&Skips { kept: 1, skipped: 2 }, same);
    let differs = |one: &Skips, other: &Skips| one.kept != other.kept;
    assert!(catch_unwind(|| assert_replays_by(&Skips { kept: 1, skipped: 0 }, differs)).is_err());
    assert!(catch_unwind(|| assert_replays(&f64::NAN)).is_err());
    assert_replays_by(&f64::NAN, |one, other| one.to_bits() == other.to_bits());
}

/// The panic's place is that of the call of the assertion.
#[test]
fn the_place_of_a_failure_is_that_of_the_assertion() {
    static PLACE: std::sync::Mutex<Option<String>> = std::sync::Mutex::new(None);
    std::thread::Builder::new()
        .name("placed".to_owned())
        .spawn(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if std::thread::current().name() == Some("placed") {
                    *PLACE.lock().unwrap() = info.location().map(|place| place.file().to_owned());
                }
                before(info);
            }));
            assert_replays(&Skips { kept: 1, skipped: 2 });
        })
        .unwrap()
        .join()
        .unwrap_err();
    let place = PLACE.lock().unwrap().clone().unwrap();
    assert!(place.ends_with("asserted.rs"), "{place}");
}
