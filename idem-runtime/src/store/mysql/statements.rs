//! The statements: [`protocol::step`](crate::protocol::step) in SQL.
//!
//! MySQL carries out a SET list from left to right, and a later assignment sees the earlier ones. With
//! `SIMULTANEOUS_ASSIGNMENT` in MariaDB's `sql_mode`, all columns are assigned at once. So each assignment here reads
//! only columns that are assigned later, and its own.
//!
//! The name of the table is the script's. Other names in a statement begin with `_`, as no table's name does.
//!
//! A column that keeps its value costs nothing: MySQL then writes neither the row nor the log.

use std::fmt::{self, Write};
use std::time::Duration;

use super::literal::{Bytes, Is, IsOneOf, Nullable};
use super::rows::columns;
use super::session::Script;
use crate::store::admin::{Filter, Start};
use crate::store::numbers::{integer, interval, purge_window};
use crate::store::sql::{Claiming, Completing};
use crate::store::{Key, Leave, Orphans, Owner, ReleaseRequest, RenewRequest};

/// The server's clock. It is the same throughout a statement, and is read before the statement waits for a lock. So a
/// lease that is granted can only be shorter for it.
macro_rules! now {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    };
}
const NOW: &str = now!();

/// The time from which a row's `purge_at` counts, as in [`protocol`](crate::protocol): the clock, or the row's fence if
/// the fence is ahead, because the clock was set back.
const STAYS_FROM: &str = concat!("GREATEST(", now!(), ", fence)");
/// The same, if the statement increases the fence in a later assignment.
const STAYS_FROM_NEXT: &str = concat!("GREATEST(", now!(), ", fence + 1)");

/// [`Row::is_orphan`](crate::protocol::Row::is_orphan).
const IS_ORPHAN: &str = concat!("(state = 2 OR (state IN (1, 3) AND until <= ", now!(), "))");

/// [`Row::is_resolution`](crate::protocol::Row::is_resolution).
const IS_RESOLUTION: &str = concat!("(state = 5 AND doubt IS NOT NULL AND until > ", now!(), ")");

/// [`Row::is_sweepable`](crate::protocol::Row::is_sweepable).
const IS_SWEEPABLE: &str = concat!("(purge_at <= ", now!(), " AND (state IN (2, 4) OR until <= ", now!(), "))");

/// The condition that an owner is among those that released the key. Uses neither SUBSTRING nor `%`, which mean
/// something else if the `sql_mode` is ORACLE.
fn has_ended(owner: impl fmt::Display) -> String {
    format!("MOD(LOCATE({owner}, ended), 16) = 1")
}

/// The owners that released the key, with this one added in front.
fn ended_with(owner: impl fmt::Display) -> String {
    format!("IF({}, ended, LEFT(CONCAT({owner}, ended), 64))", has_ended(&owner))
}

/// A time this many microseconds after another.
struct Later(&'static str, i64);

impl fmt::Display for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}", self.0, self.1)
    }
}

/// The new `purge_at`, this long after a time. A `purge_at` that is nearly right already stays as it is, so that the
/// index isn't written.
struct Purged(&'static str, Option<Duration>);

impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(now, stays) = self;
        match stays.map(purge_window) {
            None => f.write_str("NULL"),
            Some((least, most)) => {
                write!(f, "IF(purge_at BETWEEN {now} + {least} AND {now} + {most}, purge_at, {now} + {most})")
            }
        }
    }
}

/// Claims a key, in three statements of which at most one writes. The first reads the row without a lock. If the key
/// can't be had, the others do nothing, so a duplicate waits for no lock. If the key can be had, the write checks the
/// row again under its lock.
pub(super) fn claim(script: &mut Script, request: &Claiming) -> fmt::Result {
    let Script { sql, table, .. } = script;
    // The results of an earlier statement, in variables of the session: the time, and 0 for an absent row, 1 for a row
    // that can be claimed, 2 for any other.
    const NOW: &str = STARTED;
    let owner = Bytes(&request.owner.0);
    let fingerprint = Nullable(request.fingerprint.as_ref().map(|fingerprint| Bytes(&fingerprint.0)));
    let orphans = match (request.orphans, request.fingerprint) {
        (Orphans::Refuse, _) => "",
        (Orphans::Take, None) => " OR state = 2 OR (state IN (1, 3) AND until <= @idem_now)",
        (Orphans::Take, Some(_)) => &format!(
            " OR ((state = 2 OR (state IN (1, 3) AND until <= {NOW})) \
                 AND (fingerprint IS NULL OR fingerprint = {fingerprint}))"
        ),
    };
    let is_own = format!("state = 1 AND owner = {owner}");
    let is_free = format!(
        "owner <> {owner} AND NOT ({}) AND (state = 4 OR (state = 5 AND until <= {NOW}){orphans})",
        has_ended(owner)
    );
    let is = Is(&request.scope, &request.key);
    let (lease, stays) = (interval(request.lease), request.request().stays());
    let (purge_at, purged) =
        (Nullable(stays.map(|stays| Later(NOW, purge_window(stays).1))), Purged(STAYS_FROM_NEXT, stays));
    let (died, ended) = ("IF(state = 2, COALESCE(doubt, fence), fence)", ended_with("owner"));
    write!(
        sql,
        "SET {NOW} = {};\
         SELECT COALESCE(MAX(IF(({is_own}) OR ({is_free}), 1, 2)), 0) INTO @idem_row FROM `{table}` WHERE {is};\
         INSERT INTO `{table}` ({}) SELECT {}, {}, 1, {owner}, {NOW}, {NOW} + {lease}, NULL, 1, NULL, 1, {fingerprint}, \
         X'', {purge_at} FROM DUAL WHERE @idem_row = 0 ON DUPLICATE KEY UPDATE state = state;\
         UPDATE `{table}` SET \
         previous_fence = CASE WHEN state = 4 OR owner = {owner} THEN previous_fence WHEN state < 4 THEN {died} END, \
         previous = CASE WHEN state = 4 OR owner = {owner} THEN previous WHEN state < 4 THEN 3 ELSE 1 END, \
         doubt = CASE WHEN owner = {owner} THEN doubt WHEN state < 4 THEN {died} END, \
         attempt = CASE WHEN owner = {owner} THEN attempt WHEN state = 5 THEN 1 ELSE LEAST(attempt + 1, 4294967295) END, \
         ended = IF(owner = {owner}, ended, {ended}), record = NULL, \
         fingerprint = IF(owner = {owner}, fingerprint, {fingerprint}), \
         purge_at = {purged}, fence = IF(owner = {owner}, fence, GREATEST(fence + 1, {NOW})), \
         until = {NOW} + {lease}, owner = {owner}, state = 1 \
         WHERE @idem_row = 1 AND {is} AND (({is_own}) OR ({is_free}));",
        now!(),
        columns!(),
        Bytes(request.scope.as_bytes()),
        Bytes(request.key.as_bytes()),
    )
}

/// The time at which the script's claims began.
const STARTED: &str = "@idem_now";

/// Claims the keys that have no row, for many claims: one statement instead of three for each. It locks no row of the
/// other keys. They are claimed in a second round trip.
pub(super) fn claim_absent(script: &mut Script, requests: &[&Claiming]) -> fmt::Result {
    let Script { sql, table, .. } = script;
    write!(sql, "SET {STARTED} = {};INSERT INTO `{table}` ({}) SELECT * FROM (", now!(), columns!())?;
    for (nth, request) in requests.iter().enumerate() {
        let fingerprint = Nullable(request.fingerprint.as_ref().map(|fingerprint| Bytes(&fingerprint.0)));
        let stays = request.request().stays();
        write!(
            sql,
            "{}SELECT {} AS scope, {} AS `key`, 1 AS state, {} AS owner, {STARTED} AS fence, {STARTED} + {} AS until, \
             NULL AS doubt, 1 AS previous, NULL AS previous_fence, 1 AS attempt, {fingerprint} AS fingerprint, X'' AS ended, \
             {} AS purge_at",
            if nth == 0 { "" } else { " UNION ALL " },
            Bytes(request.scope.as_bytes()),
            Bytes(request.key.as_bytes()),
            Bytes(&request.owner.0),
            interval(request.lease),
            Nullable(stays.map(|stays| Later(STARTED, purge_window(stays).1))),
        )?;
    }
    write!(
        sql,
        ") AS _asked WHERE NOT EXISTS (SELECT 1 FROM `{table}` AS _known WHERE _known.scope = _asked.scope \
         AND _known.`key` = _asked.`key`) ON DUPLICATE KEY UPDATE `{table}`.state = `{table}`.state;"
    )
}

/// Completes a key. Finds the row if the key is held. Also finds a row that has this record already, and leaves it as
/// it is.
pub(super) fn complete(script: &mut Script, request: &Completing) -> fmt::Result {
    let Script { sql, table, .. } = script;
    write!(
        sql,
        "UPDATE `{table}` SET record = IF(state = 5, record, {}), until = IF(state = 5, until, {NOW} + {}), \
         purge_at = IF(state = 5, purge_at, {}), doubt = IF(state = 5, doubt, NULL), state = 5 \
         WHERE {} AND {} AND state IN (1, 2, 5);",
        Bytes(request.record.as_bytes()),
        interval(request.ttl),
        Purged(STAYS_FROM, Some(request.stays)),
        Is(&request.scope, &request.key),
        is_held_by(request.owner, request.fence),
    )
}

fn is_held_by(owner: Owner, fence: u64) -> String {
    format!("owner = {} AND fence = {}", Bytes(&owner.0), integer(fence))
}

/// Renews a lease. Finds the row if the key is held.
pub(super) fn renew(script: &mut Script, request: &RenewRequest<'_>) -> fmt::Result {
    let Script { sql, table, .. } = script;
    write!(
        sql,
        "UPDATE `{table}` SET until = {NOW} + {}, purge_at = {} WHERE {} AND {} AND state = 1;",
        interval(request.lease),
        Purged(STAYS_FROM, request.stays()),
        Is(request.scope, request.key),
        is_held_by(request.owner, request.fence),
    )
}

/// Releases a key without a record. Finds the row if the key was held. For a call that never ran its body, the caller
/// ignores whether a row was found.
pub(super) fn release(script: &mut Script, request: &ReleaseRequest<'_>) -> fmt::Result {
    let Script { sql, table, .. } = script;
    let change = match request.how {
        Leave::NotRun => return leave_unrun(script, request),
        Leave::Failed => format!(
            "doubt = IF(state < 3, NULL, doubt), previous = IF(state < 3, 2, previous), \
             previous_fence = IF(state < 3, NULL, previous_fence), purge_at = IF(state < 3, {}, purge_at), \
             state = IF(state < 3, 4, state)",
            Purged(STAYS_FROM, Some(request.retain.max(request.linger)))
        ),
        Leave::OutcomeUnknown => "doubt = IF(state = 1, fence, doubt), state = IF(state = 1, 2, state)".to_owned(),
        Leave::Keep => "state = IF(state = 1, 3, state)".to_owned(),
    };
    let (is, is_held) = (Is(request.scope, request.key), is_held_by(request.owner, request.fence));
    write!(sql, "UPDATE `{table}` SET {change} WHERE {is} AND {is_held} AND state < 5;")
}

/// Releases a key before its body was started: undoes the claim, and records the owner, so that a late copy of the
/// claim is refused.
fn leave_unrun(script: &mut Script, request: &ReleaseRequest<'_>) -> fmt::Result {
    let Script { sql, table, .. } = script;
    let owner = Bytes(&request.owner.0);
    let (least, most) = purge_window(request.linger);
    let is_own = format!("state = 1 AND owner = {owner}");
    let ended = ended_with(owner);
    write!(
        sql,
        "INSERT INTO `{table}` ({}) VALUES ({}, {}, 4, {owner}, 0, {NOW}, NULL, 1, NULL, 0, NULL, X'', {NOW} + {most}) \
         ON DUPLICATE KEY UPDATE attempt = IF({is_own} AND attempt > 0, attempt - 1, attempt), \
         purge_at = CASE WHEN {is_own} AND doubt IS NULL THEN IF(previous = 2, {}, {}) \
         WHEN purge_at < {STAYS_FROM} + {least} THEN {STAYS_FROM} + {most} ELSE purge_at END, \
         ended = IF(owner = {owner}, ended, {ended}), state = IF({is_own}, IF(doubt IS NULL, 4, 2), state);",
        columns!(),
        Bytes(request.scope.as_bytes()),
        Bytes(request.key.as_bytes()),
        Purged(STAYS_FROM, Some(request.retain.max(request.linger))),
        Purged(STAYS_FROM, Some(request.linger)),
    )
}

/// Reads the rows of keys, with their records.
pub(super) fn read(script: &mut Script, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    read_at(script, NOW, keys)
}

/// The same, with the time at which the claims began, which tells a claim that was granted now from one that was
/// granted before.
pub(super) fn read_as_begun(script: &mut Script, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    read_at(script, STARTED, keys)
}

fn read_at(script: &mut Script, now: &str, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    let Script { sql, table, .. } = script;
    let keys = IsOneOf(keys);
    write!(sql, "SELECT {now}, {}, record FROM `{table}` FORCE INDEX (PRIMARY) WHERE {keys};", columns!())
}

/// Reads which of these keys are completed, and by which owner.
pub(super) fn read_completed(script: &mut Script, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    let Script { sql, table, .. } = script;
    let keys = IsOneOf(keys);
    write!(
        sql,
        "SELECT {NOW}, scope, `key`, owner, fence FROM `{table}` FORCE INDEX (PRIMARY) WHERE {keys} AND state = 5;"
    )
}

/// Returns a row if the key is known.
pub(super) fn read_known(script: &mut Script, scope: &str, key: &Key) -> fmt::Result {
    write!(script.sql, "SELECT 1 FROM `{}` WHERE {};", script.table, Is(scope, key))
}

/// Reads the rest of the key's lease, if it has one.
pub(super) fn read_lease(script: &mut Script, scope: &str, key: &Key) -> fmt::Result {
    let Script { sql, table, .. } = script;
    let is = Is(scope, key);
    write!(sql, "SELECT until - {NOW} FROM `{table}` WHERE {is} AND state IN (1, 3) AND until > {NOW};")
}

/// How an operator resolves a key.
pub(super) enum Word<'a> {
    /// The body was executed: the record, and its ttl.
    Executed(&'a [u8], Duration),
    /// The body was not executed.
    NotExecuted,
    /// Forget the key, whatever its state.
    Forget,
}

/// Resolves a key. Finds the row if the resolution applies.
pub(super) fn resolve(script: &mut Script, scope: &str, key: &Key, word: &Word<'_>) -> fmt::Result {
    let Script { sql, table, .. } = script;
    let ttl = if let Word::Executed(_, ttl) = word { *ttl } else { Duration::ZERO };
    let stays = interval(ttl.saturating_add(crate::protocol::linger(Duration::ZERO)));
    let (ended, is) = (ended_with("owner"), Is(scope, key));
    write!(sql, "UPDATE `{table}` SET purge_at = {STAYS_FROM_NEXT} + {stays}, ended = {ended}, ")?;
    match word {
        Word::Executed(record, ttl) => {
            let (ttl, record) = (interval(*ttl), Bytes(record));
            write!(
                sql,
                "doubt = IF(state IN (2, 5), COALESCE(doubt, fence), fence), fence = fence + 1, record = {record}, \
                 until = {NOW} + {ttl}, state = 5"
            )?;
        }
        Word::NotExecuted | Word::Forget => {
            sql.push_str(
                "doubt = NULL, fence = fence + 1, record = NULL, previous = 1, previous_fence = NULL, \
                 fingerprint = NULL, state = 4",
            );
        }
    }
    match word {
        Word::Executed(..) => write!(sql, " WHERE {is} AND ({IS_ORPHAN} OR {IS_RESOLUTION});"),
        Word::NotExecuted => write!(sql, " WHERE {is} AND {IS_ORPHAN};"),
        Word::Forget => write!(sql, " WHERE {is};"),
    }
}

/// The server's time.
pub(super) fn time(script: &mut Script) -> fmt::Result {
    write!(script.sql, "SELECT {NOW};")
}

/// Counts the keys: held, orphaned, free, completed, and those that a sweep would delete.
pub(super) fn count(script: &mut Script) -> fmt::Result {
    let Script { sql, table, .. } = script;
    write!(
        sql,
        "SELECT COUNT(IF(state IN (1, 3) AND until > {NOW}, 1, NULL)), COUNT(IF({IS_ORPHAN}, 1, NULL)), \
         COUNT(IF(state = 4, 1, NULL)), COUNT(IF(state = 5, 1, NULL)), \
         COUNT(IF({IS_SWEEPABLE}, 1, NULL)) FROM `{table}`;"
    )
}

/// Reads a page of a listing.
pub(super) fn list(script: &mut Script, filter: &Filter) -> fmt::Result {
    let Script { sql, table, .. } = script;
    write!(sql, "SELECT {NOW}, {} FROM `{table}` WHERE TRUE", columns!())?;
    if let Some(scope) = &filter.scope {
        write!(sql, " AND scope = {}", Bytes(scope.as_bytes()))?;
    }
    if let Some(state) = filter.state {
        write!(sql, " AND state = {}", state as u8)?;
    }
    if filter.orphans {
        write!(sql, " AND {IS_ORPHAN}")?;
    }
    match filter.start() {
        Start::First => {}
        Start::After(scope, key) => {
            // Not `(scope, key) > (...)`, because the server uses no index for it.
            let (scope, key) = (Bytes(scope.as_bytes()), Bytes(key.as_bytes()));
            write!(sql, " AND (scope > {scope} OR (scope = {scope} AND `key` > {key}))")?;
        }
        Start::AfterInScope(key) => write!(sql, " AND `key` > {}", Bytes(key.as_bytes()))?,
        Start::Nowhere => sql.push_str(" AND FALSE"),
    }
    write!(sql, " ORDER BY scope, `key` LIMIT {};", filter.limit)
}

/// Locks rows that are no longer needed and whose `purge_at` is not before `from`, the longest due first. Returns their
/// keys and `purge_at`. Skips rows that others have locked.
pub(super) fn lock_sweepable(script: &mut Script, at_most: usize, from: i64) -> fmt::Result {
    let Script { sql, table, .. } = script;
    write!(
        sql,
        "SELECT {NOW}, scope, `key`, purge_at FROM `{table}` FORCE INDEX (`{table}_purge_at`) \
         WHERE purge_at >= {from} AND {IS_SWEEPABLE} ORDER BY purge_at LIMIT {at_most} FOR UPDATE SKIP LOCKED;"
    )
}

/// Deletes rows by their primary key, with one statement for each: in a small table, MariaDB would carry out one
/// statement for many keys by reading all rows of the scope, and waiting for those that others have locked.
pub(super) fn delete(script: &mut Script, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    let Script { sql, table, .. } = script;
    for (scope, key) in keys {
        write!(sql, "DELETE FROM `{table}` WHERE scope = {} AND `key` = {};", Bytes(scope), Bytes(key))?;
    }
    Ok(())
}
