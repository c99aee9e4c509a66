//! Numbers as `serde_json` writes them with its feature `arbitrary_precision`, by a type that does the same. With `serde_json`
//! itself: `tests/types`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess};
use serde::{Deserialize, Deserializer, Serialize};

use super::{bytes, canonical, decode, error_of};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "$serde_json::private::Number")]
struct Number {
    #[serde(rename = "$serde_json::private::Number")]
    text: String,
}

fn number(text: &str) -> Number {
    Number { text: text.to_owned() }
}

#[test]
fn r16_an_integer_with_a_private_name_is_an_integer() {
    for n in [0_i128, 1, 23, 24, -1, i64::MAX.into(), i64::MIN.into(), u64::MAX.into()] {
        let with_name = number(&n.to_string());
        assert_eq!(bytes(&n), bytes(&with_name));
        assert_eq!(canonical(&n), canonical(&with_name));
        assert_eq!(bytes(&(1, Some(n), [n])), bytes(&(1, Some(&with_name), [&with_name])));
        assert_eq!(bytes(&BTreeMap::from([("n", n)])), bytes(&BTreeMap::from([("n", with_name)])));
    }
}

#[test]
fn r16_a_number_that_would_have_other_digits_stays_as_it_is() {
    let too_large = (i128::from(u64::MAX) + 1).to_string();
    let too_small = (i128::from(i64::MIN) - 1).to_string();
    for text in
        ["-0", "+1", "007", "1.0", "1.10", "1e2", "1E2", "0.5", "", " 1", "x", &too_large, &too_small, &"9".repeat(99)]
    {
        let number = number(text);
        assert_eq!(Ok(&number), decode(&bytes(&number), 0).as_ref());
        assert_eq!(Ok(Some([number])), decode(&bytes(&Some([super::numbers::number(text)])), 0));
    }
}

/// Asks for one entry, and for its value as for any, as `bigdecimal` does.
#[derive(Debug, PartialEq)]
struct Knows(String);

impl<'de> Deserialize<'de> for Knows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Knows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_str<E>(self, text: &str) -> Result<Knows, E> {
                Ok(Knows(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Knows, A::Error> {
                map.next_key::<&str>()?.expect("a key");
                map.next_value()
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[test]
fn r16_a_number_with_a_private_name_is_no_map() {
    for text in ["1.10", "1e400", &"9".repeat(30)] {
        let written = bytes(&number(text));
        // Asks for a text as the key, for the value, and for another key, as a `Value` does that doesn't know these numbers.
        let error = error_of::<BTreeMap<String, IgnoredAny>>(&written);
        assert!(
            error.to_string().starts_with("expected a number that serde_json can hold in this build at byte 0, "),
            "{error}"
        );
        error_of::<Vec<BTreeMap<String, String>>>(&bytes(&[number(text)]));
        error_of::<BTreeMap<u8, BTreeMap<String, String>>>(&bytes(&BTreeMap::from([(1, number(text))])));
        assert_eq!(Ok(number(text)), decode(&written, 0));
        assert_eq!(Ok(Knows(text.to_owned())), decode(&written, 0));
        let numbers =
            BTreeMap::from([("a".to_owned(), Knows(text.to_owned())), ("b".to_owned(), Knows(text.to_owned()))]);
        let written = bytes(&BTreeMap::from([("a", number(text)), ("b", number(text))]));
        assert_eq!(Ok(numbers), decode(&written, 0));
    }
}

#[test]
fn r16_a_number_with_a_private_name_is_skipped_and_buffered_whole() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(Number),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        last: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Number>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Shorter {
        last: u8,
    }
    #[derive(Serialize)]
    struct Written {
        price: Number,
        last: u8,
    }
    let written = bytes(&Written { price: number("1.10"), last: 9 });
    assert_eq!(Ok(Shorter { last: 9 }), decode(&written, 0));
    let rest = BTreeMap::from([("price".to_owned(), number("1.10"))]);
    assert_eq!(Ok(Flat { last: 9, rest }), decode(&written, 0));
    assert_eq!(Ok(vec![Untagged::Number(number("1.10"))]), decode(&bytes(&[number("1.10")]), 0));
}

/// A fingerprint is the same whether or not a dependency has turned the feature on.
#[test]
fn equal_floats_are_equal_canonical_bytes() {
    for f in [1.5, -0.5, 100.0, 1e300, 0.1] {
        assert_eq!(canonical(&f), canonical(&number(&format!("{f:?}"))));
    }
    for text in ["1.50", "1e2", "0.10000000000000000001", "1e400"] {
        assert_ne!(canonical(&text.parse::<f64>().expect("a float")), canonical(&number(text)));
    }
}
