//! What the scripts answer: fields to [`Row`]s. `row.lua` says what each field holds.

use redis::Value;

use crate::protocol::{Ended, Micros, Row, State};
use crate::store::{Fingerprint, Owner, Previous, Record};

/// A row, as a script found it.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether the script has written it since.
    pub(super) written: bool,
    /// The server's time.
    pub(super) now: Micros,
    pub(super) row: Option<Row>,
    pub(super) record: Option<Record>,
}

/// A field that holds what it can't.
#[derive(Debug)]
pub(super) struct Misread(pub(super) &'static str);

/// Reads a script's answer: what it found, from which the answer to the caller follows, or nothing where it wrote what it
/// was asked for.
pub(super) fn answer(value: &Value) -> Result<Option<Found>, Misread> {
    match value {
        Value::Int(1) => Ok(None),
        Value::Array(values) => found(values).map(Some),
        _ => Err(Misread("answer")),
    }
}

/// How many fields `HMGET` and the scripts answer with.
const FIELDS: usize = 11;

/// In the order of [`row`].
pub(super) const NAMES: [&str; FIELDS] = ["st", "ow", "fe", "un", "db", "pv", "pf", "at", "fp", "en", "pu"];

fn found(values: &[Value]) -> Result<Found, Misread> {
    let [Value::Int(written), Value::Int(now), Value::Int(exists), rest @ ..] = values else {
        return Err(Misread("answer"));
    };
    let now = u64::try_from(*now).map_err(|_| Misread("time"))?;
    let row = if *exists == 1 { Some(row(rest)?) } else { None };
    // The last of the array is left out where there is none.
    let record = match rest.get(FIELDS) {
        Some(Value::BulkString(bytes)) => Some(Record::from_bytes(bytes)),
        None | Some(Value::Nil) => None,
        Some(_) => return Err(Misread("re")),
    };
    Ok(Found { written: *written == 1, now, row, record })
}

/// The fields as a row.
pub(super) fn row(fields: &[Value]) -> Result<Row, Misread> {
    let field = |nth: usize| match fields.get(nth) {
        Some(Value::BulkString(bytes)) => Ok(bytes.as_slice()),
        _ => Err(Misread(NAMES[nth])),
    };
    let number = |nth: usize| digits(field(nth)?).ok_or(Misread(NAMES[nth]));
    let optional = |nth: usize| match field(nth)? {
        b"" => Ok(None),
        _ => number(nth).map(Some),
    };
    let sixteen = |nth: usize| <[u8; 16]>::try_from(field(nth)?).map_err(|_| Misread(NAMES[nth]));
    let previous = match (field(5)?, optional(6)?) {
        (b"1", None) => Previous::First,
        (b"2", None) => Previous::AfterFailure,
        (b"3", Some(fence)) => Previous::AfterCrash { fence },
        _ => return Err(Misread("pv")),
    };
    let (owners, rest) = field(9)?.as_chunks::<16>();
    if !rest.is_empty() || owners.len() > Ended::SLOTS {
        return Err(Misread("en"));
    }
    Ok(Row {
        state: u8::try_from(number(0)?).ok().and_then(State::from_u8).ok_or(Misread("st"))?,
        owner: Owner(sixteen(1)?),
        fence: number(2)?,
        until: number(3)?,
        doubt: optional(4)?,
        previous,
        attempt: u32::try_from(number(7)?).map_err(|_| Misread("at"))?,
        fingerprint: if field(8)?.is_empty() { None } else { Some(Fingerprint(sixteen(8)?)) },
        ended: Ended::from_owners(owners.iter().copied().map(Owner)),
        purge_at: optional(10)?,
    })
}

/// Digits and nothing else, as the scripts write and compare them.
fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
