//! An error says what was expected and where, and not what was found.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU64;

use serde::de::{DeserializeOwned, Error as _, IgnoredAny, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Bytes, bytes, decode};

const SECRET: &str = "hunter2hunter2";
const NUMBER: u64 = 4_916_338_506_082_832;

/// Fails, without the secret, in whichever way it is printed; gives the text.
#[track_caller]
fn silent<T: DeserializeOwned>(value: &impl Serialize) -> String {
    let Err(error) = decode::<T>(&bytes(value), 2) else {
        panic!("it was read as {}", std::any::type_name::<T>());
    };
    let number = NUMBER.to_string();
    for text in [format!("{error}"), format!("{error:?}"), format!("{error:#?}")] {
        assert!(!text.contains(SECRET) && !text.contains(&number), "{text}");
        // Nor a part of it.
        assert!(!text.contains(&SECRET[..4]) && !text.contains(&number[..4]), "{text}");
    }
    error.to_string()
}

#[derive(Debug, Serialize, Deserialize)]
struct Named {
    #[serde(deserialize_with = "refuses")]
    field: String,
}

fn refuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = String::deserialize(deserializer)?;
    Err(D::Error::custom(format!("bad {value}")))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Strict {
    #[expect(dead_code, reason = "only read")]
    allowed: u8,
    #[expect(dead_code, reason = "only read")]
    also: u8,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StrictFlat {
    #[serde(flatten)]
    #[expect(dead_code, reason = "only read")]
    strict: Strict,
}

#[derive(Debug, Deserialize)]
enum Variants {
    One,
    Two(#[expect(dead_code, reason = "only read")] u8),
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    One {
        #[expect(dead_code, reason = "only read")]
        number: u8,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Untagged {
    One {
        #[expect(dead_code, reason = "only read")]
        number: u8,
    },
    Two(#[expect(dead_code, reason = "only read")] u8),
}

#[test]
fn r19_no_mismatch_shows_what_was_found() {
    silent::<u8>(&SECRET);
    silent::<u8>(&NUMBER);
    silent::<i32>(&-(NUMBER as i64));
    silent::<bool>(&(NUMBER as f64));
    silent::<char>(&SECRET);
    silent::<()>(&SECRET);
    silent::<Option<u8>>(&SECRET);
    silent::<char>(&Bytes(SECRET.into()));
    silent::<Bytes>(&SECRET);
    silent::<Vec<u8>>(&SECRET);
    silent::<Vec<u8>>(&[SECRET]);
    silent::<(u8, u8)>(&(1, SECRET));
    silent::<[u8; 2]>(&[1, 2, 3]);
    silent::<BTreeMap<String, u8>>(&BTreeMap::from([(SECRET, SECRET)]));
    silent::<BTreeMap<u8, u8>>(&BTreeMap::from([(SECRET, 1)]));
    silent::<IpAddr>(&SECRET);
    silent::<NonZeroU64>(&0);
    silent::<u64>(&u128::from(NUMBER).pow(2));
    silent::<f64>(&SECRET);
    silent::<(IgnoredAny,)>(&(SECRET, NUMBER));
}

#[test]
fn r19_no_name_that_was_found_is_shown() {
    silent::<Strict>(&BTreeMap::from([(SECRET, 1)]));
    silent::<StrictFlat>(&BTreeMap::from([("allowed", 1), ("also", 1), (SECRET, 1)]));
    silent::<Strict>(&[SECRET]);
    silent::<Variants>(&SECRET);
    silent::<Variants>(&BTreeMap::from([(SECRET, 1)]));
    silent::<Variants>(&BTreeMap::from([("Two", SECRET)]));
    silent::<Variants>(&BTreeMap::from([("One", SECRET)]));
    silent::<Variants>(&NUMBER);
    silent::<Variants>(&(SECRET, NUMBER));
    silent::<Tagged>(&BTreeMap::from([("type", SECRET)]));
    silent::<Tagged>(&BTreeMap::from([("type", "One"), ("number", SECRET)]));
    silent::<Tagged>(&SECRET);
    silent::<Untagged>(&BTreeMap::from([("number", SECRET)]));
    silent::<Untagged>(&NUMBER);
}

#[test]
fn r19_what_a_type_says_itself_is_dropped() {
    silent::<Named>(&Named { field: SECRET.into() });
    silent::<Vec<Named>>(&[Named { field: SECRET.into() }]);

    /// Quotes what it found in each way that serde has.
    struct Quotes<const HOW: u8>;
    impl<'de, const HOW: u8> Deserialize<'de> for Quotes<HOW> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let value = String::deserialize(deserializer)?;
            Err(match HOW {
                0 => D::Error::custom(format!("bad {value}")),
                1 => D::Error::invalid_value(Unexpected::Str(&value), &"something else"),
                2 => D::Error::invalid_type(Unexpected::Other(&value), &"something else"),
                3 => D::Error::invalid_length(NUMBER as usize, &"something else"),
                4 => D::Error::unknown_field(&value, &["a", "b"]),
                _ => D::Error::unknown_variant(&value, &[]),
            })
        }
    }
    assert!(silent::<Quotes<0>>(&SECRET).starts_with("expected a valid value at byte 2, "));
    assert!(silent::<Quotes<1>>(&SECRET).starts_with("expected something else at byte 2, "));
    assert!(silent::<Quotes<2>>(&SECRET).starts_with("expected something else at byte 2, "));
    assert!(silent::<Quotes<3>>(&SECRET).starts_with("expected something else at byte 2, "));
    assert!(silent::<Quotes<4>>(&SECRET).starts_with("expected one of the fields `a`, `b` at byte 2, "));
    assert!(silent::<Quotes<5>>(&SECRET).starts_with("expected no variant at byte 2, "));
}

/// While a value is read, its types see each other's errors whole: `serde_with::EnumMap` depends on it.
#[test]
fn r19_what_a_type_says_itself_is_known_until_the_end() {
    #[derive(Debug, PartialEq)]
    struct Sees(bool);
    impl<'de> Deserialize<'de> for Sees {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match Named::deserialize(deserializer) {
                Ok(_) => Ok(Self(false)),
                Err(error) if error.to_string() == format!("bad {SECRET}") => Ok(Self(true)),
                Err(error) => Err(error),
            }
        }
    }
    let named = Named { field: SECRET.into() };
    assert_eq!(Ok(Sees(true)), decode(&bytes(&named), 0));
    assert_eq!(Ok(Some(vec![Sees(true)])), decode(&bytes(&Some([named])), 0));
    silent::<Sees>(&Named { field: format!("{SECRET}!") });
}

#[test]
fn r19_damage_shows_nothing_either() {
    let whole = bytes(&BTreeMap::from([(SECRET, vec![SECRET; 3])]));
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] = 0xff;
        for bytes in [&damaged[..], &whole[..at]] {
            if let Err(error) = decode::<BTreeMap<String, Vec<String>>>(bytes, 0) {
                assert!(!format!("{error} {error:?}").contains(&SECRET[..4]), "{error:?}");
            }
        }
    }
}

#[test]
fn r16_an_error_names_the_type_the_expectation_and_the_place() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Order<T> {
        id: u8,
        lines: Vec<T>,
    }
    // 2 of the record, 1 of the map, "id": 1, "lines": [1, "...": here.
    let order = Order { id: 1, lines: vec!["x"] };
    let text = silent::<Order<u16>>(&order);
    assert!(text.starts_with("expected u16 at byte 14, reading `"), "{text}");
    assert!(text.contains("Order<u16>"), "{text}");
    let text = silent::<Order<(u8, Variants)>>(&Order { id: 1, lines: vec![(1, "Three")] });
    assert!(text.starts_with("expected one of the variants `One`, `Two` at byte 16, "), "{text}");
    let text = silent::<Order<u8>>(&BTreeMap::from([("id", 1)]));
    assert!(text.starts_with("expected the field `lines` at byte 2, "), "{text}");
}
