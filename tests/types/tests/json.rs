//! `serde_json`: its values, its raw texts, and its numbers, with and without the feature `arbitrary_precision`, which any dependency
//! can turn on. This file is compiled for both.

use std::collections::BTreeMap;

use idem_types::{Stores, comes_back, comes_back_unbuffered};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

#[tokio::test]
async fn r04_values() {
    comes_back(json!({"a": [1, -1, 1.5, 0.1, u64::MAX, i64::MIN], "b": {"": "x", "c": true, "d": [null, {}]}})).await;
    comes_back(json!([])).await;
    comes_back(json!(5)).await;
    comes_back(json!({"a": 1}).as_object().expect("an object").clone()).await;
    comes_back(serde_json::Number::from(5)).await;
    comes_back(BTreeMap::from([(1_u8, json!({"a": 1.5}))])).await;
}

/// A wrapper with `==`, as a `RawValue` has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Raw(Box<RawValue>);

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

fn raw(text: &str) -> Raw {
    Raw(RawValue::from_string(text.to_owned()).expect("it is JSON"))
}

#[tokio::test]
async fn r04_a_raw_text_is_the_same_text() {
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype(Raw);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Receipt {
        before: u8,
        raw: Raw,
        option: Option<Raw>,
        list: Vec<Raw>,
        after: u8,
    }

    for text in ["null", "1.10", "\"\\u0041\"", "{\"b\": 1, \"a\": [ 1,2 ], \"a\": 1e400}"] {
        comes_back_unbuffered(&raw(text)).await;
        comes_back_unbuffered(&Newtype(raw(text))).await;
        let receipt =
            Receipt { before: 1, raw: raw(text), option: Some(raw(text)), list: vec![raw(text), raw("1")], after: 2 };
        comes_back_unbuffered(&receipt).await;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Field<T> {
    field: T,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat<T> {
    last: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, T>,
}

fn flat<T>(value: T) -> Flat<T> {
    Flat { last: 9, rest: BTreeMap::from([("field".to_owned(), value)]) }
}

/// A number as the other build writes it, with the same calls of serde.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "$serde_json::private::Number")]
struct Private {
    #[serde(rename = "$serde_json::private::Number")]
    text: String,
}

fn private(text: &str) -> Private {
    Private { text: text.to_owned() }
}

const EXACT: [&str; 6] = ["1.10", "0.1", "1e+400", "-0", "1e-7", "123456789012345678901234567890"];

#[cfg(feature = "arbitrary_precision")]
mod with_arbitrary_precision {
    use serde_json::Value;

    use super::*;

    fn exactly(text: &str) -> Value {
        serde_json::from_str(text).expect("a number")
    }

    #[tokio::test]
    async fn r04_numbers_of_any_length() {
        for text in EXACT {
            let value = exactly(text);
            assert_eq!(text, value.to_string());
            comes_back(value.clone()).await;
            comes_back(json!([{"a": value}, 5])).await;
            comes_back(flat(value)).await;
        }
    }

    /// Asserts that this build writes what the tests of the other build read.
    #[tokio::test]
    async fn r16_numbers_are_written_with_their_private_name() {
        for text in EXACT {
            let stores = Stores::new();
            stores.record("alone", &exactly(text)).await;
            assert_eq!(private(text), stores.replay("alone", &private("")).await.expect("it is the text"));
            stores.record("field", &Field { field: exactly(text) }).await;
            let replayed = stores.replay("field", &Field { field: private("") }).await;
            assert_eq!(Field { field: private(text) }, replayed.expect("it is the text"));
        }
    }

    #[tokio::test]
    async fn r16_numbers_of_the_other_build_are_read() {
        let stores = Stores::new();
        stores.record("key", &(5_u64, -5_i64, 1.5_f64, u64::MAX)).await;
        let replayed = stores.replay("key", &json!(null)).await.expect("it is a list");
        assert_eq!(json!([5, -5, 1.5, u64::MAX]), replayed);
    }

    #[tokio::test]
    async fn r04_decimals_as_numbers() {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        struct Price {
            #[serde(with = "rust_decimal::serde::arbitrary_precision")]
            decimal: rust_decimal::Decimal,
            #[serde(with = "bigdecimal::serde::json_num")]
            big: bigdecimal::BigDecimal,
        }
        for text in ["1.10", "1.1", "100.0", "5", "-0.5"] {
            let price = || Price { decimal: text.parse().expect("a decimal"), big: text.parse().expect("a decimal") };
            comes_back_unbuffered(&price()).await;
            let stores = Stores::new();
            stores.record("key", &price()).await;
            let replayed = stores.replay("key", &price()).await.expect("it is a price");
            // Compares the digits too, as equal decimals can have different ones.
            assert_eq!((text.to_owned(), text.to_owned()), (replayed.decimal.to_string(), replayed.big.to_string()));
        }
    }
}

#[cfg(not(feature = "arbitrary_precision"))]
mod without_arbitrary_precision {
    use idem_runtime::Error;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged<T> {
        Field { field: T },
    }

    #[tokio::test]
    async fn r16_an_integer_of_the_other_build_is_that_integer() {
        for n in [json!(0), json!(5), json!(-5), json!(u64::MAX), json!(i64::MIN)] {
            let stores = Stores::new();
            let text = n.to_string();
            stores.record("alone", &private(&text)).await;
            assert_eq!(Some(&n), stores.replay("alone", &json!(null)).await.as_ref().ok());
            stores.record("list", &vec![Some(private(&text))]).await;
            assert_eq!(Some(json!([n])), stores.replay("list", &json!(null)).await.ok());
            stores.record("field", &Field { field: private(&text) }).await;
            assert_eq!(Some(json!({"field": n})), stores.replay("field", &json!(null)).await.ok());
            let field = || Field { field: json!(null) };
            assert_eq!(Some(Field { field: n.clone() }), stores.replay("field", &field()).await.ok());
            let untagged = Untagged::Field { field: json!(null) };
            assert_eq!(Some(Untagged::Field { field: n.clone() }), stores.replay("field", &untagged).await.ok());
            stores.record("flat", &flat(private(&text))).await;
            assert_eq!(Some(flat(n)), stores.replay("flat", &flat(json!(null))).await.ok());
        }
    }

    #[tokio::test]
    async fn r16_another_number_of_the_other_build_is_no_object() {
        for text in EXACT {
            let stores = Stores::new();
            stores.record("alone", &private(text)).await;
            is_decode(&stores.replay("alone", &json!(null)).await);
            is_decode(&stores.replay("alone", &Some(json!(null))).await);
            is_decode(&stores.replay("alone", &serde_json::Number::from(1)).await);
            is_decode(&stores.replay("alone", &serde_json::Map::new()).await);
            stores.record("list", &vec![private(text)]).await;
            is_decode(&stores.replay("list", &json!(null)).await);
            is_decode(&stores.replay("list", &vec![json!(null)]).await);
            stores.record("field", &Field { field: private(text) }).await;
            is_decode(&stores.replay("field", &json!(null)).await);
            is_decode(&stores.replay("field", &Field { field: json!(null) }).await);
            is_decode(&stores.replay("field", &BTreeMap::from([("x".to_owned(), json!(null))])).await);
        }
    }

    fn is_decode<T: std::fmt::Debug>(replayed: &Result<T, Error>) {
        assert!(matches!(replayed, Err(Error::Decode { .. })), "{replayed:?}");
    }

    /// A type can't know for whom serde puts it into a buffer. If this test fails, the note in `codec.rs` is out of date.
    #[tokio::test]
    async fn what_serde_buffers_shows_the_private_name() {
        let stores = Stores::new();
        stores.record("field", &Field { field: private("1.10") }).await;
        let replayed = stores.replay("field", &Untagged::Field { field: json!(null) }).await;
        let object = json!({"$serde_json::private::Number": "1.10"});
        assert_eq!(Some(Untagged::Field { field: object }), replayed.ok());
    }
}
