//! Reading the answers of scripts into [`Row`]s. `head.lua` describes the bytes.

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
    /// The record of a completed row. In an answer to a duplicate, it is complete.
    pub(super) record: Option<Record>,
}

/// The name of a part of a row or of an answer that isn't valid, or [`NO_ROW`].
#[derive(Debug)]
pub(super) struct Misread(pub(super) &'static str);

/// The value under a row's name is no row.
pub(super) const NO_ROW: &str = "no row";

/// Reads a script's answer: the row that the script found, from which the reply follows, or `None` if it wrote what the
/// request asked for.
pub(super) fn answer(value: &Value) -> Result<Option<Found>, Misread> {
    match value {
        Value::Int(1) => Ok(None),
        Value::Array(values) => found(values).map(Some),
        _ => Err(Misread("answer")),
    }
}

fn found(values: &[Value]) -> Result<Found, Misread> {
    // Redis leaves out absent values at the end of an array.
    let [Value::Int(written), Value::Int(now), rest @ ..] = values else { return Err(Misread("answer")) };
    let now = u64::try_from(*now).map_err(|_| Misread("time"))?;
    let field = |nth: usize, name| match rest.get(nth) {
        Some(Value::BulkString(bytes)) => Ok(Some(bytes.as_slice())),
        None | Some(Value::Nil) => Ok(None),
        Some(_) => Err(Misread(name)),
    };
    let (row, record) = match field(0, "row")? {
        None => (None, None),
        Some(bytes) => {
            let (row, record) = self::row(bytes)?;
            (Some(row), (row.state == State::Done).then(|| Record::from_bytes(record)))
        }
    };
    Ok(Found { written: *written == 1, now, row, record })
}

/// How many bytes a row has at most, without its record.
pub(super) const LONGEST: usize = 48 + 8 + 8 + 16 + 16 * Ended::SLOTS;

/// The layout that this version writes.
const LAYOUT: u8 = 1;

/// The bytes of a row that are still to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self, name: &'static str) -> Result<[u8; N], Misread> {
        let (taken, left) = self.0.split_first_chunk().ok_or(Misread(name))?;
        self.0 = left;
        Ok(*taken)
    }

    fn number(&mut self, name: &'static str) -> Result<u64, Misread> {
        self.take(name).map(u64::from_be_bytes)
    }
}

/// Reads a row. Returns the row and the bytes after it, which are the record of a completed row.
pub(super) fn row(bytes: &[u8]) -> Result<(Row, &[u8]), Misread> {
    let mut bytes = Bytes(bytes);
    let [LAYOUT, state, previous, marks] = bytes.take(NO_ROW)? else { return Err(Misread(NO_ROW)) };
    let state = State::from_u8(state).ok_or(Misread("row.st"))?;
    let attempt = u32::from_be_bytes(bytes.take("row.at")?);
    let until = bytes.number("row.un")?;
    let purge_at = Some(bytes.number("row.pu")?).filter(|at| *at != 0);
    let fence = bytes.number("row.fe")?;
    let owner = Owner(bytes.take("row.ow")?);
    let previous = match previous {
        1 => Previous::First,
        2 => Previous::AfterFailure,
        3 => Previous::AfterCrash { fence: bytes.number("row.pf")? },
        _ => return Err(Misread("row.pv")),
    };
    let doubt = if marks & 4 == 0 { None } else { Some(bytes.number("row.db")?) };
    let fingerprint = if marks & 2 == 0 { None } else { Some(Fingerprint(bytes.take("row.fp")?)) };
    let mut ended = [Owner([0; 16]); Ended::SLOTS];
    let ended = ended.get_mut(..usize::from(marks >> 3)).ok_or(Misread("row.en"))?;
    for owner in &mut *ended {
        *owner = Owner(bytes.take("row.en")?);
    }
    let ended = Ended::from_owners(ended.iter().copied());
    if state != State::Done && !bytes.0.is_empty() {
        return Err(Misread("row.re"));
    }
    Ok((Row { state, owner, fence, until, doubt, previous, attempt, fingerprint, ended, purge_at }, bytes.0))
}
