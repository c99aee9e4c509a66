//! Makes the record of an outcome.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded, Recorded};
use crate::error::Shown;
use crate::handler::Site;
use crate::protocol::{Key, Record};
use crate::task::quietly;

/// The record to write for an outcome: `encoded`, if it is there and has at most `most` bytes. Else a record that says
/// that the outcome was not kept.
pub(crate) fn keep<T>(
    site: &'static Site,
    key: Option<&Key>,
    most: usize,
    encoded: Option<Record>,
    decode: impl FnOnce(Encoded<'_>) -> Result<T, DecodeError>,
) -> Record {
    match encoded.filter(|record| record.as_bytes().len() <= most) {
        Some(record) => {
            // The check may call code that panics. It must not change how the call ends, so it is left out where a
            // panic aborts the process.
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

/// Warns, once for each scope, if a record can't be read back as the type that it was made from. So a test that calls a
/// handler only once shows the mistake, before the first duplicate does in production.
///
/// It doesn't compare bytes, because two equal sets can have different ones.
/// [`assert_replays`](crate::testing::assert_replays) finds values that are read back but are not equal.
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
                "an outcome can't be read back as its own type, so each of its duplicates gets `Decode`: return a type that \
                 can be read back, and test that with `testing::assert_replays`"
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
