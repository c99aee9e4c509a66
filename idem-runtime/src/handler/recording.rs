//! What is recorded of an outcome.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded, Recorded};
use crate::error::Shown;
use crate::handler::Site;
use crate::protocol::{Key, Record};
use crate::task::quietly;

/// The record of an outcome that is `encoded`, of at most `most` bytes. One that can't be kept is a record that says so.
pub(crate) fn keep<T>(
    site: &'static Site,
    key: Option<&Key>,
    most: usize,
    encoded: Option<Record>,
    decode: impl FnOnce(Encoded<'_>) -> Result<T, DecodeError>,
) -> Record {
    match encoded.filter(|record| record.as_bytes().len() <= most) {
        Some(record) => {
            // The call must end as it would without the check, so that is left out where a panic would end the process.
            if cfg!(all(debug_assertions, panic = "unwind")) {
                check(site, key, &record, decode);
            }
            record
        }
        None => {
            site.warn_of_unkept_result(key);
            record::unavailable()
        }
    }
}

/// Warns, once for each scope, of a record that the type it was made from can't read. Whoever calls a handler only once in a
/// test learns of it here, and not from the first duplicate in production.
///
/// Bytes are not compared: two equal sets can have different ones. What comes back as less is found by
/// [`assert_replays`](crate::testing::assert_replays).
fn check<T>(
    site: &'static Site,
    key: Option<&Key>,
    record: &Record,
    decode: impl FnOnce(Encoded<'_>) -> Result<T, DecodeError>,
) {
    if site.told_unreadable.load(Ordering::Relaxed) {
        return;
    }
    let reason = match catch_unwind(AssertUnwindSafe(|| read(record, decode).map(drop))) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "its `Deserialize` panicked".to_owned(),
    };
    if !site.told_unreadable.swap(true, Ordering::Relaxed) {
        quietly(|| {
            tracing::warn!(
                scope = site.scope,
                key = %Shown(key),
                r#type = type_name::<T>(),
                reason,
                "an outcome can't be read back as its own type, so each of its duplicates gets `Decode`: record a type that \
                 comes back, and hold it to that with `testing::assert_replays`"
            );
        });
    }
}

fn read<T>(
    record: &Record,
    decode: impl FnOnce(Encoded<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match record::read(record)? {
        Recorded::Value(encoded) | Recorded::Error(encoded) => decode(encoded).map(Some),
        Recorded::Unavailable => Ok(None),
    }
}
