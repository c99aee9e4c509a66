//! Help for the tests of programs with idempotent handlers.
//!
//! A handler's first caller gets the body's own value. Its duplicates get one that was made from the record, by the type's
//! `Serialize` and `Deserialize`: a field with `#[serde(skip)]` comes back as its default, and a time that is written in
//! seconds without its fraction. A test that calls a handler once sees neither. One line for each type that a handler
//! returns, or records as an error, does:
//!
//! ```
//! use idem_runtime::testing::assert_replays;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Receipt {
//!     order: String,
//!     cents: u64,
//! }
//!
//! // In a test:
//! assert_replays(&Receipt { order: "order-1".to_owned(), cents: 500 });
//! ```
//!
//! Give it a value of which no part is empty, zero or a default.

use std::any::type_name;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

/// Asserts that a duplicate gets a value that is equal to what was recorded.
///
/// # Panics
///
/// Where it is not. The message has the name of the type, and both values as their `Debug` shows them: for a test, as it
/// holds what no log may. Also where the value can't be recorded, or its record can't be read.
#[track_caller]
pub fn assert_replays<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_replays_by(value, PartialEq::eq);
}

/// As [`assert_replays`], where `same` says whether two values are equal: for a type without `PartialEq`, or with another
/// one in mind, as for a `NaN`.
///
/// ```
/// use idem_runtime::testing::assert_replays_by;
///
/// assert_replays_by(&f64::NAN, |recorded, replayed| recorded.to_bits() == replayed.to_bits());
/// ```
///
/// # Panics
///
/// As [`assert_replays`].
#[track_caller]
pub fn assert_replays_by<T: Serialize + DeserializeOwned + Debug>(value: &T, same: impl Fn(&T, &T) -> bool) {
    let (name, mut bytes) = (type_name::<T>(), Vec::new());
    let encoded = codec::encode(value, &mut bytes);
    assert!(
        encoded.is_ok(),
        "a `{name}` can't be recorded, as its `Serialize` fails or it is nested too deep: its duplicates get \
         `Error::ResultUnavailable`\nvalue: {value:#?}"
    );
    let replayed = codec::decode::<T>(&bytes, 0);
    let is_same = replayed.as_ref().is_ok_and(|replayed| same(value, replayed));
    assert!(is_same, "a `{name}` doesn't come back as it went\nrecorded: {value:#?}\nreplayed: {replayed:#?}");
}
