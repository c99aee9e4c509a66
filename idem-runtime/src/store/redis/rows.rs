//! What the scripts answer: texts to [`Row`]s. `head.lua` says what each part holds.

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

/// A field that holds what it can't, or a part of the field `row`; or [`NO_ROW`].
#[derive(Debug)]
pub(super) struct Misread(pub(super) &'static str);

/// There is something under the name of a row, and it is none.
pub(super) const NO_ROW: &str = "no row";

/// Reads a script's answer: what it found, from which the answer to the caller follows, or nothing where it wrote what it
/// was asked for.
pub(super) fn answer(value: &Value) -> Result<Option<Found>, Misread> {
    match value {
        Value::Int(1) => Ok(None),
        Value::Array(values) => found(values).map(Some),
        _ => Err(Misread("answer")),
    }
}

fn found(values: &[Value]) -> Result<Found, Misread> {
    // What is absent at the end of an array is left out of it.
    let [Value::Int(written), Value::Int(now), rest @ ..] = values else { return Err(Misread("answer")) };
    let now = u64::try_from(*now).map_err(|_| Misread("time"))?;
    let field = |nth: usize, name| match rest.get(nth) {
        Some(Value::BulkString(bytes)) => Ok(Some(bytes.as_slice())),
        None | Some(Value::Nil) => Ok(None),
        Some(_) => Err(Misread(name)),
    };
    let row = field(0, "row")?.map(row).transpose()?;
    let record = field(1, "re")?.map(Record::from_bytes);
    Ok(Found { written: *written == 1, now, row, record })
}

/// What is left of a text of parts.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// The next part, which ends with a comma.
    fn text(&mut self, name: &'static str) -> Result<&'a [u8], Misread> {
        let comma = self.0.iter().position(|byte| *byte == b',').ok_or(Misread(name))?;
        let part = &self.0[..comma];
        self.0 = &self.0[comma + 1..];
        Ok(part)
    }

    fn number(&mut self, name: &'static str) -> Result<u64, Misread> {
        digits(self.text(name)?).ok_or(Misread(name))
    }

    fn optional(&mut self, name: &'static str) -> Result<Option<u64>, Misread> {
        match self.text(name)? {
            b"" => Ok(None),
            text => digits(text).map(Some).ok_or(Misread(name)),
        }
    }
}

/// The field `row` as a row.
pub(super) fn row(bytes: &[u8]) -> Result<Row, Misread> {
    if bytes.is_empty() {
        return Err(Misread(NO_ROW));
    }
    let mut parts = Parts(bytes);
    let state = u8::try_from(parts.number("row.st")?).ok().and_then(State::from_u8).ok_or(Misread("row.st"))?;
    let until = parts.number("row.un")?;
    let purge_at = parts.optional("row.pu")?;
    let doubt = parts.optional("row.db")?;
    let fence = parts.number("row.fe")?;
    let attempt = u32::try_from(parts.number("row.at")?).map_err(|_| Misread("row.at"))?;
    let previous = match (parts.text("row.pv")?, parts.optional("row.pf")?) {
        (b"1", None) => Previous::First,
        (b"2", None) => Previous::AfterFailure,
        (b"3", Some(fence)) => Previous::AfterCrash { fence },
        _ => return Err(Misread("row.pv")),
    };
    let has = parts.text("row.has")?;
    let (sixteens, []) = parts.0.as_chunks::<16>() else { return Err(Misread("row.en")) };
    let (owner, sixteens) = sixteens.split_first().ok_or(Misread("row.ow"))?;
    let (fingerprint, ended) = match has {
        b"0" => (None, sixteens),
        b"1" => {
            sixteens.split_first().map(|(print, ended)| (Some(Fingerprint(*print)), ended)).ok_or(Misread("row.fp"))?
        }
        _ => return Err(Misread("row.has")),
    };
    if ended.len() > Ended::SLOTS {
        return Err(Misread("row.en"));
    }
    let (owner, ended) = (Owner(*owner), Ended::from_owners(ended.iter().copied().map(Owner)));
    Ok(Row { state, owner, fence, until, doubt, previous, attempt, fingerprint, ended, purge_at })
}

/// Digits and nothing else, as the scripts write and compare them.
fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
