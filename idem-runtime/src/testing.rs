//! Helpers for the tests of programs with idempotent handlers.
//!
//! A handler's first caller gets the value that the body returned. A duplicate gets a value that was made from the
//! record, by the type's `Serialize` and `Deserialize`. These can differ: a field with `#[serde(skip)]` comes back as
//! its default, and a time that is serialized in whole seconds comes back without its fraction. A test that calls a
//! handler once doesn't see that. This line does, for each type that a handler returns or records as an error:
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
//! Give it a value in which no part is empty, zero or a default.

use std::any::type_name;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec;

/// Asserts that a duplicate gets a value that is equal to the value that was recorded.
///
/// # Panics
///
/// If the values are not equal, the value can't be recorded, or its record can't be read. The message holds the name of
/// the type and both values as their `Debug` shows them, so use it in tests only.
#[track_caller]
pub fn assert_replays<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_replays_by(value, PartialEq::eq);
}

/// As [`assert_replays`], but the function `same` says whether two values are equal. Use it for a type without
/// `PartialEq`, or where its `PartialEq` doesn't fit, as for `NaN`.
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
    assert!(
        is_same,
        "the duplicates of a `{name}` don't get an equal value\nrecorded: {value:#?}\nreplayed: {replayed:#?}"
    );
}
