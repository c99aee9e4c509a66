//! Doors for the fuzz targets, which are in a package of their own (`fuzz`). They exist under `cfg(fuzzing)` alone, with
//! the features of all stores that have a URL.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::record::{self, Recorded};
use crate::error::{DecodeError, Error};
use crate::protocol::{Key, Record};
use crate::store::{MySqlOptions, PostgresOptions, RedisOptions, SqliteOptions, redis};

/// The encoding of a value; `None` where serde refuses it, or where it is nested too deep.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    crate::codec::encode(value, &mut out).ok().map(|()| out)
}

/// The encoding that a fingerprint is taken from; `None` as with [`encode`].
pub fn encode_canonical<T: Serialize + ?Sized>(value: &T) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    crate::codec::encode_canonical(value, &mut out).ok().map(|()| out)
}

/// The value that these bytes are the encoding of.
///
/// # Errors
///
/// They aren't the encoding of a `T`, or of anything.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    crate::codec::decode(bytes, 0)
}

/// The record of a result; `None` as with [`encode`].
pub fn record_of<T: Serialize + ?Sized>(value: &T) -> Option<Record> {
    record::encode_value(value)
}

/// What a record says: the result or the error, or `None` where neither could be kept.
///
/// # Errors
///
/// It is no record, or not one of a `T` and an `E`.
pub fn read_record<T: DeserializeOwned, E: DeserializeOwned>(
    record: &Record,
) -> Result<Option<Result<T, E>>, DecodeError> {
    Ok(match record::read(record)? {
        Recorded::Value(value) => Some(Ok(value.decode()?)),
        Recorded::Error(error) => Some(Err(error.decode()?)),
        Recorded::Unavailable => None,
    })
}

/// How each store that has a URL reads this one. Nothing is opened.
pub fn read_url(url: &str) -> [Result<(), Error>; 4] {
    [
        SqliteOptions::from_url(url).map(drop),
        PostgresOptions::read(url).map(drop),
        MySqlOptions::read(url).map(drop),
        RedisOptions::read(url).map(drop),
    ]
}

/// What the row of a key is called in Redis.
pub fn redis_name(prefix: &[u8], scope: &str, key: &Key) -> Vec<u8> {
    redis::name(prefix, scope, key)
}

/// The scope and the key of such a name; `None` where it isn't one.
pub fn parse_redis_name(prefix: &[u8], name: &[u8]) -> Option<(String, Key)> {
    redis::parse(prefix, name)
}
