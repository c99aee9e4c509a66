//! Any bytes, read as values of several types: an error, or a value that comes back the same.

use std::collections::HashMap;

use idem_runtime::private::fuzzing::{decode, encode};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::types::{Any, Bytes, Flat, Internal, Tree};

pub fn run(input: &[u8]) {
    read::<Tree>(input);
    read::<Any>(input);
    read::<Flat>(input);
    read::<Internal>(input);
    read::<Bytes>(input);
    read::<Vec<(u8, String)>>(input);
    read::<(i128, u128, char, f32)>(input);
    read::<Option<Option<()>>>(input);
    // Their order is that of no other map.
    let _ = decode::<HashMap<String, Vec<u64>>>(input).map_err(|error| error.to_string());
    let _ = decode::<IgnoredAny>(input).map_err(|error| error.to_string());
}

/// What is read isn't always what the bytes said: a `f32` is read as an `f64`, and an unknown field is passed over. But what
/// is written of it is read again.
fn read<T: Serialize + DeserializeOwned>(input: &[u8]) {
    match decode::<T>(input) {
        Err(error) => assert!(error.to_string().starts_with("expected ")),
        Ok(value) => {
            let Some(written) = encode(&value) else { return };
            let again = decode::<T>(&written).unwrap_or_else(|error| panic!("{error}: {written:02x?}"));
            assert_eq!(Some(written), encode(&again));
        }
    }
}
