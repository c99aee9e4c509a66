//! The statements of tx mode, for each database. The parameters are the same for each, in the same order.
//!
//! A claim writes the same row as [`protocol::step`](crate::protocol::step), with one difference: the state is 4, free.
//! It keeps other calls away because it isn't committed. As in `step`, `purge_at` counts from the row's fence if the
//! clock has stepped back behind it.

mod mysql;
mod postgres;
mod sqlite;
#[cfg(all(test, feature = "sqlite"))]
mod table;

use std::time::Duration;

use once_cell::sync::OnceCell;

use super::found::Found;
use super::named::table;
use super::{Column, Database, Param, Statement};
use crate::protocol::{Fingerprint, Key, Owner, Record};
use crate::store::clock;
use crate::store::numbers::{integer, interval, purge_window};
use crate::store::table::Table;

/// The row of a statement, and the claim on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) scope: &'a str,
    pub(super) key: &'a Key,
    pub(super) owner: Owner,
    pub(super) fence: u64,
}

/// A statement and its parameters.
#[derive(Debug)]
pub(super) struct Built<'a> {
    sql: &'a str,
    params: Vec<Param<'a>>,
    columns: &'static [Column],
}

impl Built<'_> {
    pub(super) fn statement(&self) -> Statement<'_> {
        Statement { sql: self.sql, params: &self.params, columns: self.columns }
    }
}

/// The statements of a database, as they are sent (`String`) or written with the table's default name (`&str`).
struct Texts<T> {
    /// Writes a pending row if the key has no row or one that can be taken. Then it returns what it took. On PostgreSQL
    /// it also returns a row that can't be taken. On MySQL it returns nothing.
    ///
    /// Parameters: scope, key, owner, fingerprint (empty if there is none), how long the row stays at most.
    claim: T,
    /// Reads the row. Parameters: owner, scope, key.
    read: Option<T>,
    /// Turns the pending row into a completed one. Parameters: record, ttl, how long the row stays at least and at
    /// most, scope, key, owner, fence.
    complete: T,
    /// Deletes the pending row if the claim inserted it. A row that was there before stays. It counts as absent too,
    /// and remembers the owners that left, so that late copies of their claims are refused. Parameters: scope, key,
    /// owner, fence.
    withdraw: T,
    /// Makes the pending row of a takeover an orphan again, as a `NotRun` does. Parameters: scope, key, owner, fence.
    restore: T,
}

impl Texts<&str> {
    fn on(&self, table: &Table) -> Texts<String> {
        Texts {
            claim: table.named(self.claim),
            read: self.read.map(|read| table.named(read)),
            complete: table.named(self.complete),
            withdraw: table.named(self.withdraw),
            restore: table.named(self.restore),
        }
    }
}

/// The statements on this process's table. They are made once.
fn texts(database: Database) -> &'static Texts<String> {
    static MADE: OnceCell<[Texts<String>; 3]> = OnceCell::new();
    let written = [postgres::TEXTS, mysql::TEXTS, sqlite::TEXTS];
    let [postgres, mysql, sqlite] = MADE.get_or_init(|| written.map(|texts| texts.on(table())));
    match database {
        Database::Postgres => postgres,
        Database::MySql => mysql,
        Database::Sqlite => sqlite,
    }
}

/// Claims a key. If it returns no row, [`read`] has to look.
pub(super) fn claim<'a>(
    database: Database,
    place: &'a Place<'a>,
    fingerprint: Option<&'a Fingerprint>,
    stays: Duration,
) -> Built<'a> {
    let columns: &[Column] = if database == Database::MySql { &[] } else { &Found::COLUMNS };
    let mut params = vec![
        scope(database, place),
        Param::Bytes(place.key.as_bytes()),
        Param::Bytes(&place.owner.0),
        Param::Bytes(fingerprint.map_or(&[], |fingerprint| &fingerprint.0)),
        Param::Integer(purge_window(stays).1),
    ];
    params.extend(now(database));
    Built { sql: &texts(database).claim, params, columns }
}

/// Reads a key about which [`claim`] returned no row. `None` where `claim` returns one, except after a race.
pub(super) fn read<'a>(database: Database, place: &'a Place<'a>) -> Option<Built<'a>> {
    let mut params = vec![Param::Bytes(&place.owner.0), scope(database, place), Param::Bytes(place.key.as_bytes())];
    params.extend(now(database));
    Some(Built { sql: texts(database).read.as_ref()?, params, columns: &Found::COLUMNS })
}

/// Records the outcome of a key. It changes one row if the claim is still there.
pub(super) fn complete<'a>(
    database: Database,
    place: &'a Place<'a>,
    record: &'a Record,
    ttl: Duration,
    linger: Duration,
) -> Built<'a> {
    let (least, most) = purge_window(ttl.saturating_add(linger));
    let mut params = vec![
        Param::Bytes(record.as_bytes()),
        Param::Integer(interval(ttl)),
        Param::Integer(least),
        Param::Integer(most),
        scope(database, place),
        Param::Bytes(place.key.as_bytes()),
        Param::Bytes(&place.owner.0),
        Param::Integer(integer(place.fence)),
    ];
    params.extend(now(database));
    Built { sql: &texts(database).complete, params, columns: &[] }
}

/// Withdraws a claim.
pub(super) fn withdraw<'a>(database: Database, place: &'a Place<'a>) -> Built<'a> {
    Built { sql: &texts(database).withdraw, params: claimed(database, place), columns: &[] }
}

/// Undoes a takeover.
pub(super) fn restore<'a>(database: Database, place: &'a Place<'a>) -> Built<'a> {
    Built { sql: &texts(database).restore, params: claimed(database, place), columns: &[] }
}

/// The parameters that say which claim.
fn claimed<'a>(database: Database, place: &'a Place<'a>) -> Vec<Param<'a>> {
    vec![
        scope(database, place),
        Param::Bytes(place.key.as_bytes()),
        Param::Bytes(&place.owner.0),
        Param::Integer(integer(place.fence)),
    ]
}

/// As bytes on MySQL: its column is binary, and must not depend on the connection's character set.
fn scope<'a>(database: Database, place: &Place<'a>) -> Param<'a> {
    match database {
        Database::MySql => Param::Bytes(place.scope.as_bytes()),
        Database::Postgres | Database::Sqlite => Param::Text(place.scope),
    }
}

/// The time, for SQLite, which uses this machine's clock. The servers use their own.
fn now(database: Database) -> Option<Param<'static>> {
    (database == Database::Sqlite).then(|| Param::Integer(integer(clock::now())))
}
