//! Reading and writing [`Row`]s. `schema.sql` says what each column holds.

use rusqlite::types::{Null, ValueRef};
use rusqlite::{Statement, params};

use super::failure::Failure;
use super::file::{File, Texts};
use crate::protocol::{Ended, Micros, Row, State};
use crate::store::{Fingerprint, Key, Owner, Previous, Record};

/// The column of the record, behind those of [`read`].
const RECORD: usize = 11;

/// What an update does to the record.
#[derive(Clone, Copy, Debug)]
pub(super) enum RecordWrite<'a> {
    /// The record stays as it is.
    Unchanged,
    Set(&'a Record),
    Clear,
}

/// Reads the row of a key and calls `then` with it. If `then` returns `true`, reads the record too.
pub(super) fn find<T>(
    file: &File,
    scope: &str,
    key: &Key,
    then: impl FnOnce(Option<&Row>) -> (T, bool),
) -> Result<(T, Option<Record>), Failure> {
    let mut statement = file.prepare_cached(&file.texts.select)?;
    let mut rows = statement.query(params![scope, key.as_bytes()])?;
    let Some(columns) = rows.next()? else { return Ok((then(None).0, None)) };
    let row = read(columns, 0).map_err(|column| column.of(scope, key))?;
    let (answer, wants_record) = then(Some(&row));
    if !wants_record {
        return Ok((answer, None));
    }
    match columns.get_ref(RECORD)? {
        ValueRef::Blob(bytes) => Ok((answer, Some(Record::from_bytes(bytes)))),
        ValueRef::Null => Ok((answer, None)),
        _ => Err(Failure::corrupt(scope, key, "record")),
    }
}

/// Inserts the row of a key that has none.
pub(super) fn insert(file: &File, scope: &str, key: &Key, row: &Row) -> Result<(), Failure> {
    execute(file, &file.texts.insert, scope, key, row, RecordWrite::Clear)
}

/// Inserts the row of a key's first claim. Returns `false` if the key has a row already.
pub(super) fn claim(file: &File, scope: &str, key: &Key, row: &Row, now: Micros) -> Result<bool, Failure> {
    let mut statement = file.prepare_cached(&file.texts.claim)?;
    bind_holder(&mut statement, scope, key, row)?;
    statement.raw_bind_parameter(6, row.fingerprint.as_ref().map(|fingerprint| &fingerprint.0[..]))?;
    statement.raw_bind_parameter(7, purge_at_of(settled(None, row.purge_at, now), scope, key)?)?;
    Ok(statement.raw_execute()? == 1)
}

/// Writes the `until` of a key that the holder in `row` runs; with a record, completes the key. Returns `false`, and
/// writes nothing, if the key has another row, or if its `purge_at` has to change.
pub(super) fn hold(
    file: &File,
    scope: &str,
    key: &Key,
    row: &Row,
    record: Option<&Record>,
    now: Micros,
) -> Result<bool, Failure> {
    let Texts { renew, complete, .. } = &file.texts;
    let mut statement = file.prepare_cached(if record.is_some() { complete } else { renew })?;
    bind_holder(&mut statement, scope, key, row)?;
    for (nth, purge_at) in [(6, row.purge_at), (7, settled(None, row.purge_at, now))] {
        statement.raw_bind_parameter(nth, purge_at_of(purge_at, scope, key)?)?;
    }
    if let Some(record) = record {
        statement.raw_bind_parameter(8, record.as_bytes())?;
    }
    Ok(statement.raw_execute()? == 1)
}

fn bind_holder(statement: &mut Statement<'_>, scope: &str, key: &Key, row: &Row) -> Result<(), Failure> {
    statement.raw_bind_parameter(1, scope)?;
    statement.raw_bind_parameter(2, key.as_bytes())?;
    statement.raw_bind_parameter(3, &row.owner.0[..])?;
    statement.raw_bind_parameter(4, number_of(row.fence, scope, key, "fence")?)?;
    statement.raw_bind_parameter(5, number_of(row.until, scope, key, "until")?)?;
    Ok(())
}

/// The `purge_at` to write where the protocol says `wanted`. A row may stay longer than that, by a thirty-second: if
/// its present `purge_at` is in that range, it stays unchanged, so that most completions and renewals leave the index
/// alone.
pub(super) fn settled(present: Option<Micros>, wanted: Option<Micros>, now: Micros) -> Option<Micros> {
    let wanted = wanted?;
    let latest = wanted + wanted.saturating_sub(now) / 32;
    present.filter(|present| (wanted..=latest).contains(present)).or(Some(latest))
}

/// Updates the row of a key.
pub(super) fn update(file: &File, scope: &str, key: &Key, row: &Row, record: RecordWrite<'_>) -> Result<(), Failure> {
    let Texts { update, update_with_record, .. } = &file.texts;
    let sql = if matches!(record, RecordWrite::Unchanged) { update } else { update_with_record };
    execute(file, sql, scope, key, row, record)
}

/// Deletes the row of a key.
pub(super) fn delete(file: &File, scope: &str, key: &Key) -> Result<(), Failure> {
    file.prepare_cached(&file.texts.delete)?.execute(params![scope, key.as_bytes()])?;
    Ok(())
}

fn execute(file: &File, sql: &str, scope: &str, key: &Key, row: &Row, record: RecordWrite<'_>) -> Result<(), Failure> {
    let number = |number: u64, column| number_of(number, scope, key, column);
    let (previous, previous_fence) = match row.previous {
        Previous::First => (1, None),
        Previous::AfterFailure => (2, None),
        Previous::AfterCrash { fence } => (3, Some(number(fence, "previous_fence")?)),
    };
    let mut ended = [0; 16 * Ended::SLOTS];
    let mut used = 0;
    for owner in row.ended.iter() {
        ended[used..used + 16].copy_from_slice(&owner.0);
        used += 16;
    }
    let mut statement = file.prepare_cached(sql)?;
    statement.raw_bind_parameter(1, scope)?;
    statement.raw_bind_parameter(2, key.as_bytes())?;
    statement.raw_bind_parameter(3, row.state as u8)?;
    statement.raw_bind_parameter(4, &row.owner.0[..])?;
    statement.raw_bind_parameter(5, number(row.fence, "fence")?)?;
    statement.raw_bind_parameter(6, number(row.until, "until")?)?;
    statement.raw_bind_parameter(7, row.doubt.map(|doubt| number(doubt, "doubt")).transpose()?)?;
    statement.raw_bind_parameter(8, previous)?;
    statement.raw_bind_parameter(9, previous_fence)?;
    statement.raw_bind_parameter(10, row.attempt)?;
    statement.raw_bind_parameter(11, row.fingerprint.as_ref().map(|fingerprint| &fingerprint.0[..]))?;
    statement.raw_bind_parameter(12, &ended[..used])?;
    statement.raw_bind_parameter(13, purge_at_of(row.purge_at, scope, key)?)?;
    match record {
        RecordWrite::Unchanged => {}
        RecordWrite::Set(record) => statement.raw_bind_parameter(14, record.as_bytes())?,
        RecordWrite::Clear => statement.raw_bind_parameter(14, Null)?,
    }
    statement.raw_execute()?;
    Ok(())
}

/// Reads the first two columns as a scope and a key. The key is `None` if the bytes are no key.
pub(super) fn read_key(columns: &rusqlite::Row<'_>) -> rusqlite::Result<(String, Option<Key>)> {
    let key = match columns.get_ref(1)? {
        ValueRef::Blob(bytes) => Key::from_bytes(bytes),
        _ => None,
    };
    Ok((columns.get(0)?, key))
}

/// A column whose value isn't valid.
#[derive(Debug)]
pub(super) enum Misread {
    Column(&'static str),
    Sqlite(rusqlite::Error),
}

impl Misread {
    pub(super) fn of(self, scope: &str, key: &Key) -> Failure {
        match self {
            Self::Column(column) => Failure::corrupt(scope, key, column),
            Self::Sqlite(error) => error.into(),
        }
    }
}

impl From<rusqlite::Error> for Misread {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Reads the columns from `first` on as a row.
pub(super) fn read(columns: &rusqlite::Row<'_>, first: usize) -> Result<Row, Misread> {
    let value = |nth: usize| columns.get_ref(first + nth);
    let state = unsigned(value(0)?, "state")?;
    let state = u8::try_from(state).ok().and_then(State::from_u8).ok_or(Misread::Column("state"))?;
    let previous = match (unsigned(value(5)?, "previous")?, optional(value(6)?, "previous_fence")?) {
        (1, None) => Previous::First,
        (2, None) => Previous::AfterFailure,
        (3, Some(fence)) => Previous::AfterCrash { fence },
        _ => return Err(Misread::Column("previous")),
    };
    Ok(Row {
        state,
        owner: Owner(sixteen(value(1)?, "owner")?),
        fence: unsigned(value(2)?, "fence")?,
        until: unsigned(value(3)?, "until")?,
        doubt: optional(value(4)?, "doubt")?,
        previous,
        attempt: u32::try_from(unsigned(value(7)?, "attempt")?).map_err(|_| Misread::Column("attempt"))?,
        fingerprint: match value(8)? {
            ValueRef::Null => None,
            value => Some(Fingerprint(sixteen(value, "fingerprint")?)),
        },
        ended: ended(value(9)?)?,
        purge_at: optional(value(10)?, "purge_at")?,
    })
}

fn unsigned(value: ValueRef<'_>, column: &'static str) -> Result<u64, Misread> {
    match value {
        ValueRef::Integer(number) => u64::try_from(number).map_err(|_| Misread::Column(column)),
        _ => Err(Misread::Column(column)),
    }
}

fn optional(value: ValueRef<'_>, column: &'static str) -> Result<Option<u64>, Misread> {
    match value {
        ValueRef::Null => Ok(None),
        value => unsigned(value, column).map(Some),
    }
}

fn sixteen(value: ValueRef<'_>, column: &'static str) -> Result<[u8; 16], Misread> {
    match value {
        ValueRef::Blob(bytes) => bytes.try_into().map_err(|_| Misread::Column(column)),
        _ => Err(Misread::Column(column)),
    }
}

fn ended(value: ValueRef<'_>) -> Result<Ended, Misread> {
    let ValueRef::Blob(bytes) = value else { return Err(Misread::Column("ended")) };
    let (owners, rest) = bytes.as_chunks::<16>();
    if !rest.is_empty() || owners.len() > Ended::SLOTS {
        return Err(Misread::Column("ended"));
    }
    Ok(Ended::from_owners(owners.iter().copied().map(Owner)))
}

fn purge_at_of(at: Option<Micros>, scope: &str, key: &Key) -> Result<Option<i64>, Failure> {
    at.map(|at| number_of(at, scope, key, "purge_at")).transpose()
}

fn number_of(number: u64, scope: &str, key: &Key, column: &'static str) -> Result<i64, Failure> {
    i64::try_from(number).map_err(|_| Failure::corrupt(scope, key, column))
}
