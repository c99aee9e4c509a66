//! The statements, for each database. They are given the same parameters in the same order.
//!
//! What a claim makes of a row is what [`protocol::step`](crate::protocol::step) makes of it, with one difference: the row
//! is left in state 4, free. What keeps others away is that the row isn't committed. As there, `purge_at` counts from the
//! row's fence where that lies ahead of the clock, which has stepped back.

mod mysql;
mod postgres;
mod sqlite;

use std::time::Duration;

use super::found::Found;
use super::{Column, Database, Param, Statement};
use crate::protocol::{Fingerprint, Key, Owner, Record};
use crate::store::clock;
use crate::store::numbers::{integer, interval, purge_window};

/// Which row a statement is about, and whose claim.
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
    sql: &'static str,
    params: Vec<Param<'a>>,
    columns: &'static [Column],
}

impl Built<'_> {
    pub(super) fn statement(&self) -> Statement<'_> {
        Statement { sql: self.sql, params: &self.params, columns: self.columns }
    }
}

/// The statements of a database.
struct Texts {
    /// Makes a pending row of one that is absent or can be had. Answers, if it does, with what was taken; on PostgreSQL
    /// with what is there instead, too. MySQL can't answer.
    ///
    /// Scope, key, owner, fingerprint (empty where there is none), how long the row stays at most.
    claim: &'static str,
    /// What is there. Owner, scope, key.
    read: Option<&'static str>,
    /// Makes a completed row of a pending one. Record, ttl, how long the row stays at least and at most, scope, key, owner,
    /// fence.
    complete: &'static str,
    /// Deletes a pending row that the claim made. One that was there before, and so has someone who left, stays: it counts
    /// as absent too, and what it knows of them is what refuses a late copy of a claim of theirs. Scope, key, owner, fence.
    withdraw: &'static str,
}

fn texts(database: Database) -> &'static Texts {
    match database {
        Database::Postgres => &postgres::TEXTS,
        Database::MySql => &mysql::TEXTS,
        Database::Sqlite => &sqlite::TEXTS,
    }
}

/// Asks for a key. Answers nothing where [`read`] has to look.
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
    Built { sql: texts(database).claim, params, columns }
}

/// Looks at a key that [`claim`] has no answer about. `None` where it always has one, but for races.
pub(super) fn read<'a>(database: Database, place: &'a Place<'a>) -> Option<Built<'a>> {
    let mut params = vec![Param::Bytes(&place.owner.0), scope(database, place), Param::Bytes(place.key.as_bytes())];
    params.extend(now(database));
    Some(Built { sql: texts(database).read?, params, columns: &Found::COLUMNS })
}

/// Records the outcome of a key. Changes one row, if the claim is there.
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
    Built { sql: texts(database).complete, params, columns: &[] }
}

/// Takes a claim back.
pub(super) fn withdraw<'a>(database: Database, place: &'a Place<'a>) -> Built<'a> {
    let params = vec![
        scope(database, place),
        Param::Bytes(place.key.as_bytes()),
        Param::Bytes(&place.owner.0),
        Param::Integer(integer(place.fence)),
    ];
    Built { sql: texts(database).withdraw, params, columns: &[] }
}

/// MySQL's column is binary, whatever the connection's character set.
fn scope<'a>(database: Database, place: &Place<'a>) -> Param<'a> {
    match database {
        Database::MySql => Param::Bytes(place.scope.as_bytes()),
        Database::Postgres | Database::Sqlite => Param::Text(place.scope),
    }
}

/// SQLite's clock is this machine's. The servers have their own.
fn now(database: Database) -> Option<Param<'static>> {
    (database == Database::Sqlite).then(|| Param::Integer(integer(clock::now())))
}
