//! The statements: [`protocol::step`](crate::protocol::step) in SQL.
//!
//! A SET list runs from left to right, and a column that stands behind sees what was assigned before it. So wherever
//! something depends on the row as it was, `decided` is set first, and `owner` and `state` last. MariaDB's
//! `SIMULTANEOUS_ASSIGNMENT` would change that: the `session` turns it off.
//!
//! What is the same before and after isn't written: neither the row, nor the log.

use std::fmt::{self, Write};
use std::time::Duration;

use super::literal::{Bytes, Is, IsOneOf, Nullable};
use super::rows::columns;
use crate::store::sql::{Claiming, Completing, integer, interval, purge_window};
use crate::store::{Key, Leave, Orphans, Owner, ReleaseRequest, RenewRequest};

/// The server's clock. The same throughout a statement: it is read before a lock is waited for, so a lease that is granted
/// can only be shorter for it.
macro_rules! now {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    };
}
const NOW: &str = now!();

/// [`Row::is_orphan`](crate::protocol::Row::is_orphan).
const IS_ORPHAN: &str = concat!("(state = 2 OR (state IN (1, 3) AND until <= ", now!(), "))");

/// [`Row::is_sweepable`](crate::protocol::Row::is_sweepable).
const IS_SWEEPABLE: &str = concat!("(purge_at <= ", now!(), " AND (state IN (2, 4) OR until <= ", now!(), "))");

/// The owners that a row remembers as having left.
const GONE: &str =
    "SUBSTRING(ended, 1, 16), SUBSTRING(ended, 17, 16), SUBSTRING(ended, 33, 16), SUBSTRING(ended, 49, 16)";

/// The same, and one more in front.
fn ended_with(owner: impl fmt::Display) -> String {
    format!("IF({owner} IN ({GONE}), ended, SUBSTRING(CONCAT({owner}, ended), 1, 64))")
}

/// A `purge_at` so far from now. What is nearly so already stays, and the index isn't written.
struct Purged(Option<Duration>);

impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map(purge_window) {
            None => f.write_str("NULL"),
            Some((least, most)) => {
                write!(f, "IF(purge_at BETWEEN {NOW} + {least} AND {NOW} + {most}, purge_at, {NOW} + {most})")
            }
        }
    }
}

/// Asks for a key. The first look takes no lock: a duplicate waits for nobody and writes nothing. A row that changes between
/// the look and the write is looked at again, locked.
pub(super) fn claim(sql: &mut String, request: &Claiming) -> fmt::Result {
    let owner = Bytes(&request.owner.0);
    let fingerprint = Nullable(request.fingerprint.as_ref().map(|fingerprint| Bytes(&fingerprint.0)));
    let stays = request.request().stays();
    let (lease, purge) = (interval(request.lease), Purged(stays));
    let purge_at = Nullable(stays.map(|stays| format!("{NOW} + {}", purge_window(stays).1)));
    let is_own = format!("(state = 1 AND owner = {owner})");
    let orphans = match (request.orphans, request.fingerprint) {
        (Orphans::Refuse, _) => String::new(),
        (Orphans::Take, None) => format!(" OR {IS_ORPHAN}"),
        (Orphans::Take, Some(_)) => {
            format!(" OR ({IS_ORPHAN} AND (fingerprint IS NULL OR fingerprint = {fingerprint}))")
        }
    };
    let is_free =
        format!("({owner} NOT IN (owner, {GONE}) AND (state = 4 OR (state = 5 AND until <= {NOW}){orphans}))");
    let died = "IF(state = 2, COALESCE(doubt, fence), fence)";
    let ended = ended_with("owner");
    write!(
        sql,
        "INSERT INTO idempotency ({}, record) SELECT {}, {}, 1, {owner}, {NOW}, {NOW} + {lease}, NULL, 1, NULL, 1, \
         {fingerprint}, X'', {purge_at}, NULL FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM idempotency WHERE {} AND NOT \
         ({is_own} OR {is_free})) ON DUPLICATE KEY UPDATE \
         decided = CASE WHEN {is_own} THEN 2 WHEN {is_free} THEN 1 ELSE 0 END, \
         previous_fence = IF(decided = 1, CASE WHEN state = 4 THEN previous_fence WHEN state <> 5 THEN {died} END, \
         previous_fence), \
         previous = IF(decided = 1, CASE WHEN state = 4 THEN previous WHEN state = 5 THEN 1 ELSE 3 END, previous), \
         doubt = IF(decided = 1, CASE WHEN state < 4 THEN {died} END, doubt), \
         attempt = IF(decided = 1, IF(state = 5, 1, LEAST(attempt + 1, 4294967295)), attempt), \
         ended = IF(decided = 1, {ended}, ended), \
         record = IF(decided = 1, NULL, record), \
         fingerprint = IF(decided = 1, {fingerprint}, fingerprint), \
         fence = IF(decided = 1, GREATEST(fence + 1, {NOW}), fence), \
         until = IF(decided > 0, {NOW} + {lease}, until), \
         purge_at = IF(decided > 0, {purge}, purge_at), \
         owner = IF(decided = 1, {owner}, owner), \
         state = IF(decided = 1, 1, state);",
        columns!(),
        Bytes(request.scope.as_bytes()),
        Bytes(request.key.as_bytes()),
        Is(&request.scope, &request.key),
    )
}

/// Records the outcome of a key. Finds the row where it is held, also one that has it already, and leaves that as it is.
pub(super) fn complete(sql: &mut String, request: &Completing) -> fmt::Result {
    write!(
        sql,
        "UPDATE idempotency SET record = IF(state = 5, record, {}), until = IF(state = 5, until, {NOW} + {}), \
         purge_at = IF(state = 5, purge_at, {}), doubt = IF(state = 5, doubt, NULL), state = 5 \
         WHERE {} AND {} AND state IN (1, 2, 5);",
        Bytes(request.record.as_bytes()),
        interval(request.ttl),
        Purged(Some(request.stays)),
        Is(&request.scope, &request.key),
        is_held_by(request.owner, request.fence),
    )
}

fn is_held_by(owner: Owner, fence: u64) -> String {
    format!("owner = {} AND fence = {}", Bytes(&owner.0), integer(fence))
}

/// Holds a key for longer. Finds the row where it is held.
pub(super) fn renew(sql: &mut String, request: &RenewRequest<'_>) -> fmt::Result {
    write!(
        sql,
        "UPDATE idempotency SET until = {NOW} + {}, purge_at = {} WHERE {} AND {} AND state = 1;",
        interval(request.lease),
        Purged(request.stays()),
        Is(request.scope, request.key),
        is_held_by(request.owner, request.fence),
    )
}

/// Leaves a key without completing it. Finds the row where it was held; that of a call that never ran its body is of no
/// interest.
pub(super) fn release(sql: &mut String, request: &ReleaseRequest<'_>) -> fmt::Result {
    let change = match request.how {
        Leave::NotRun => return leave_unrun(sql, request),
        Leave::Failed => format!(
            "doubt = IF(state < 3, NULL, doubt), previous = IF(state < 3, 2, previous), \
             previous_fence = IF(state < 3, NULL, previous_fence), purge_at = IF(state < 3, {}, purge_at), \
             state = IF(state < 3, 4, state)",
            Purged(Some(request.retain.max(request.linger)))
        ),
        Leave::OutcomeUnknown => "doubt = IF(state = 1, fence, doubt), state = IF(state = 1, 2, state)".to_owned(),
        Leave::Keep => "state = IF(state = 1, 3, state)".to_owned(),
    };
    let (is, is_held) = (Is(request.scope, request.key), is_held_by(request.owner, request.fence));
    write!(sql, "UPDATE idempotency SET {change} WHERE {is} AND {is_held} AND state < 5;")
}

/// Leaves a key before the body was started: undoes the claim, and leaves the owner's name for a late copy of it.
fn leave_unrun(sql: &mut String, request: &ReleaseRequest<'_>) -> fmt::Result {
    let owner = Bytes(&request.owner.0);
    let (least, most) = purge_window(request.linger);
    write!(
        sql,
        "INSERT INTO idempotency ({}, record) VALUES ({}, {}, 4, {owner}, 0, {NOW}, NULL, 1, NULL, 0, NULL, X'', \
         {NOW} + {most}, NULL) ON DUPLICATE KEY UPDATE \
         decided = CASE WHEN state = 1 AND owner = {owner} THEN IF(doubt IS NULL, 4, 2) \
         WHEN {owner} IN (owner, {GONE}) THEN 0 ELSE 1 END, \
         attempt = IF(decided > 1 AND attempt > 0, attempt - 1, attempt), \
         purge_at = CASE WHEN decided = 4 THEN IF(previous = 2, {}, {}) \
         WHEN decided = 1 AND purge_at < {NOW} + {least} THEN {NOW} + {most} ELSE purge_at END, \
         ended = IF(decided = 1, SUBSTRING(CONCAT({owner}, ended), 1, 64), ended), \
         state = IF(decided > 1, decided, state);",
        columns!(),
        Bytes(request.scope.as_bytes()),
        Bytes(request.key.as_bytes()),
        Purged(Some(request.retain.max(request.linger))),
        Purged(Some(request.linger)),
    )
}

/// Reads keys whole.
pub(super) fn read(sql: &mut String, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    let keys = IsOneOf(keys);
    write!(sql, "SELECT {NOW}, {}, record FROM idempotency FORCE INDEX (PRIMARY) WHERE {keys};", columns!())
}

/// Which of these keys are completed, and by whom.
pub(super) fn read_completed(sql: &mut String, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    let keys = IsOneOf(keys);
    write!(
        sql,
        "SELECT {NOW}, scope, `key`, owner, fence FROM idempotency FORCE INDEX (PRIMARY) WHERE {keys} AND state = 5;"
    )
}

/// How long the lease of a key still lasts, if there is one.
pub(super) fn read_lease(sql: &mut String, scope: &str, key: &Key) -> fmt::Result {
    let is = Is(scope, key);
    write!(sql, "SELECT until - {NOW} FROM idempotency WHERE {is} AND state IN (1, 3) AND until > {NOW};")
}

/// What an operator found out about an orphan.
pub(super) enum Word<'a> {
    /// It was executed: this is the record, and for how long it is remembered.
    Executed(&'a [u8], Duration),
    /// It was not executed.
    NotExecuted,
    /// It doesn't matter, and the key needn't be an orphan.
    Forget,
}

/// An operator's word on a key. Finds the row where it applies.
pub(super) fn resolve(sql: &mut String, scope: &str, key: &Key, word: &Word<'_>) -> fmt::Result {
    let linger = interval(crate::claim::linger(Duration::ZERO));
    let (ended, is) = (ended_with("owner"), Is(scope, key));
    write!(sql, "UPDATE idempotency SET ended = {ended}, fence = fence + 1, doubt = NULL, ")?;
    match word {
        Word::Executed(record, ttl) => {
            let (ttl, record) = (interval(*ttl), Bytes(record));
            write!(sql, "record = {record}, until = {NOW} + {ttl}, purge_at = {NOW} + {ttl} + {linger}, state = 5")?;
        }
        Word::NotExecuted | Word::Forget => write!(
            sql,
            "record = NULL, purge_at = {NOW} + {linger}, previous = 1, previous_fence = NULL, fingerprint = NULL, state = 4"
        )?,
    }
    match word {
        Word::Forget => write!(sql, " WHERE {is};"),
        Word::Executed(..) | Word::NotExecuted => write!(sql, " WHERE {is} AND {IS_ORPHAN};"),
    }
}

/// How many keys there are: those that are held, orphans, free ones, completed ones, and those that a sweep would delete.
pub(super) fn count(sql: &mut String) -> fmt::Result {
    write!(
        sql,
        "SELECT COUNT(IF(state IN (1, 3) AND until > {NOW}, 1, NULL)), COUNT(IF({IS_ORPHAN}, 1, NULL)), \
         COUNT(IF(state = 4, 1, NULL)), COUNT(IF(state = 5, 1, NULL)), \
         COUNT(IF({IS_SWEEPABLE}, 1, NULL)) FROM idempotency;"
    )
}

/// A page of a listing.
pub(super) fn list(sql: &mut String, filter: &crate::admin::Filter) -> fmt::Result {
    write!(sql, "SELECT {NOW}, {} FROM idempotency WHERE TRUE", columns!())?;
    if let Some(scope) = &filter.scope {
        write!(sql, " AND scope = {}", Bytes(scope.as_bytes()))?;
    }
    if let Some(state) = filter.state {
        write!(sql, " AND state = {}", state as u8)?;
    }
    if filter.orphans {
        write!(sql, " AND {IS_ORPHAN}")?;
    }
    if let Some((scope, key)) = &filter.after {
        // Not `(scope, key) > (...)`, for which no index is used.
        let (scope, key) = (Bytes(scope.as_bytes()), Bytes(key.as_bytes()));
        write!(sql, " AND (scope > {scope} OR (scope = {scope} AND `key` > {key}))")?;
    }
    write!(sql, " ORDER BY scope, `key` LIMIT {};", filter.limit)
}

/// Locks rows that nobody needs, those first that could be deleted for longest, and says which. Passes over those that
/// others have locked.
pub(super) fn lock_sweepable(sql: &mut String, at_most: usize) -> fmt::Result {
    write!(
        sql,
        "SELECT {NOW}, scope, `key` FROM idempotency FORCE INDEX (idempotency_purge_at) WHERE {IS_SWEEPABLE} \
         ORDER BY purge_at LIMIT {at_most} FOR UPDATE SKIP LOCKED;"
    )
}

/// Deletes rows by their primary key.
pub(super) fn delete(sql: &mut String, keys: &[(&[u8], &[u8])]) -> fmt::Result {
    write!(sql, "DELETE FROM idempotency WHERE {};", IsOneOf(keys))
}
