//! The statements. Each is a whole operation of the protocol, in one round trip, and leaves nothing in the session.
//!
//! They are safe at READ COMMITTED, where a statement that has waited for a row reads it again. They are safe at the
//! stricter levels, where such a statement fails as a whole and is sent again. The statements for many keys take an
//! array for each parameter.

use std::sync::Arc;

use crate::store::table::Table;

/// The table, with its default name ([`Table::named`]). Names of a statement's own parts begin with `_`, as no table's
/// name does.
const TABLE: &str = "\"idem_keys\"";

/// The server's clock, in microseconds since the Unix epoch. It advances within a statement. `now()` would not: it
/// would be the time before a lock was waited for.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// The time from which a row's `purge_at` counts, as in [`protocol`](crate::protocol): the clock, or the row's fence if
/// the fence is ahead, because the clock was set back.
fn stays_from(fence: &str) -> String {
    format!("greatest({NOW}, {fence})")
}

/// The columns of a row, in the order in which they are read: [`super::rows`].
const ROW: &str = "state::bigint, owner, fence, until, doubt, previous::bigint, previous_fence, attempt::bigint, \
                   fingerprint, ended, purge_at";

/// The number of columns in [`ROW`].
pub(super) const ROW_LEN: usize = 11;

/// The condition that an owner is among those that released the key. A match across two stored owners would need 128
/// random bits to be equal by chance.
fn has_ended(owner: &str, row: &str) -> String {
    format!("position({owner} IN {row}.ended) > 0")
}

/// The owners that released the key, with this one added.
fn ended_with(owner: &str) -> String {
    let again = has_ended(owner, "t");
    format!("CASE WHEN {again} THEN t.ended ELSE substr({owner} || t.ended, 1, 64) END")
}

/// The condition that a claim by this owner repeats the claim that was granted.
fn is_own(row: &str, owner: &str) -> String {
    format!("({row}.state = 1 AND {row}.owner = {owner})")
}

/// The condition that a claim by this owner, with this fingerprint, may get the key at this time. `$7` says whether it
/// takes orphans over.
fn is_takeable(row: &str, owner: &str, fingerprint: &str, now: &str) -> String {
    let gone = has_ended(owner, row);
    format!(
        "({row}.owner <> {owner} AND NOT {gone} AND (
            {row}.state = 4 OR ({row}.state = 5 AND {row}.until <= {now})
            OR ($7 AND coalesce({row}.fingerprint = {fingerprint}, true)
                AND ({row}.state = 2 OR ({row}.state IN (1, 3) AND {row}.until <= {now})))))"
    )
}

/// The condition that a row is an orphan at this time.
fn is_orphan(now: &str) -> String {
    format!("(state = 2 OR (state IN (1, 3) AND until <= {now}))")
}

/// Whether a statement is for one request, with plain values as parameters, or for many, with arrays. The first is
/// cheaper.
///
/// A plan is made when the table is new, and is kept. A plan that reads the whole table would be far too slow a million
/// rows later. So the requests have a LIMIT that removes none of them: with it the planner expects one row, and uses
/// the index.
#[derive(Clone, Copy)]
enum For {
    One,
    Many,
}

/// The statements on a store's table. They are made once.
pub(super) struct Statements {
    pub(super) claim: Statement,
    pub(super) complete: Statement,
    pub(super) renew: Arc<str>,
    pub(super) leave: Arc<str>,
    pub(super) leave_unrun: Arc<str>,
    pub(super) await_ending: Arc<str>,
    /// Returns a row if the key is known: `$1` scope, `$2` key.
    pub(super) known: Arc<str>,
    /// Reads one key: `$1` scope, `$2` key.
    pub(super) get: Arc<str>,
    /// The beginning of a listing.
    list: String,
    pub(super) resolve: Arc<str>,
    /// The server's time.
    pub(super) time: Arc<str>,
    pub(super) stats: Arc<str>,
    pub(super) sweep: Arc<str>,
}

impl Statements {
    pub(super) fn new(table: &Table) -> Self {
        let named = |text: &str| Arc::from(table.named(text));
        let both = |text: fn(For) -> String| Statement { one: named(&text(For::One)), many: named(&text(For::Many)) };
        Self {
            claim: both(claim),
            complete: both(complete),
            renew: named(&renew()),
            leave: named(&leave()),
            leave_unrun: named(&leave_unrun()),
            await_ending: named(&await_ending()),
            known: named(&format!("SELECT 1::bigint FROM {TABLE} WHERE scope = $1 AND key = $2")),
            get: named(&format!("SELECT {NOW}, {ROW}, record FROM {TABLE} WHERE scope = $1 AND key = $2")),
            list: table.named(&format!("SELECT {NOW}, {ROW}, scope, key FROM {TABLE} WHERE true")),
            resolve: named(&resolve()),
            time: format!("SELECT {NOW}").into(),
            stats: named(&stats()),
            sweep: named(&sweep()),
        }
    }

    /// Reads a page of a listing.
    pub(super) fn list(&self, filters: &str, limit: &str) -> Arc<str> {
        format!("{}{filters} ORDER BY scope, key LIMIT {limit}", self.list).into()
    }
}

/// A statement in both forms.
pub(super) struct Statement {
    one: Arc<str>,
    many: Arc<str>,
}

impl Statement {
    /// The form for this many requests.
    pub(super) fn of(&self, requests: usize) -> &Arc<str> {
        if requests == 1 { &self.one } else { &self.many }
    }
}

/// Claims keys. Returns a row for each request: without an ordinal if the key was granted, and else with the request's
/// ordinal and the key's row. It returns no row for a request if another claim came first.
///
/// `$1` scopes, `$2` keys, `$3` owners, `$4` leases, `$5` fingerprints, `$6` how long the rows are kept, `$7` whether
/// to take orphans over.
fn claim(requests: For) -> String {
    // ON CONFLICT DO UPDATE locks the row, and so writes to the log, even if its WHERE is false. So rows that can't be
    // claimed are found before. A proposed row carries the values of its request, because the update sees only
    // EXCLUDED. Its fence is the clock before the statement waited for the row's lock. A lease that ended during the wait
    // counts as held by this clock: the request then has no answer, and is sent again.
    let own = is_own("t", "EXCLUDED.owner");
    let takeable = is_takeable("t", "EXCLUDED.owner", "EXCLUDED.fingerprint", "EXCLUDED.fence");
    let (ended, stays_from) = (ended_with("t.owner"), "greatest(EXCLUDED.fence, t.fence + 1)");
    let open =
        |owner, fingerprint| format!("({} OR {})", is_own("x", owner), is_takeable("x", owner, fingerprint, "c.now"));
    let (found, proposed) = match requests {
        For::One => (
            format!(
                "SELECT 1::bigint AS nth, c.now, {} AS open, {ROW_OF_X}
                FROM {TABLE} x, (SELECT {NOW} AS now) c WHERE x.scope = $1 AND x.key = $2",
                open("$3", "$5")
            ),
            format!(
                "SELECT $1, $2, 1, $3, c.now, c.now + $4, 1, 1, $5, ''::bytea, c.now + $6 FROM (SELECT {NOW} AS now) c
                WHERE NOT EXISTS (SELECT FROM _found WHERE NOT open)"
            ),
        ),
        For::Many => (
            format!(
                "SELECT a.*, c.now, coalesce({}, true) AS open, {ROW_OF_X}
                FROM (
                    SELECT scope COLLATE \"C\" AS scope, key, claimer, lease, digest, stays, nth
                    FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bigint[])
                        WITH ORDINALITY AS a (scope, key, claimer, lease, digest, stays, nth)
                    LIMIT cardinality($1)
                ) a CROSS JOIN (SELECT {NOW} AS now) c LEFT JOIN LATERAL
                    (SELECT * FROM {TABLE} i WHERE i.scope = a.scope AND i.key = a.key LIMIT 1) x ON true",
                open("a.claimer", "a.digest")
            ),
            "SELECT scope, key, 1, claimer, now, now + lease, 1, 1, digest, ''::bytea, now + stays
            FROM _found WHERE open ORDER BY nth"
                .to_owned(),
        ),
    };
    format!(
        "WITH _found AS MATERIALIZED ({found}), _taken AS (
            INSERT INTO {TABLE} AS t
                (scope, key, state, owner, fence, until, previous, attempt, fingerprint, ended, purge_at)
            {proposed}
            ON CONFLICT (scope, key) DO UPDATE SET
                fence = CASE WHEN {own} THEN t.fence ELSE {stays_from} END,
                attempt = CASE WHEN {own} THEN t.attempt WHEN t.state = 5 THEN 1
                    ELSE least(t.attempt, 2147483646) + 1 END,
                doubt = CASE WHEN {own} THEN t.doubt WHEN t.state = 2 THEN coalesce(t.doubt, t.fence)
                    WHEN t.state IN (1, 3) THEN t.fence END,
                previous = CASE WHEN {own} OR t.state = 4 THEN t.previous WHEN t.state = 5 THEN 1 ELSE 3 END,
                previous_fence = CASE WHEN {own} OR t.state = 4 THEN t.previous_fence
                    WHEN t.state = 2 THEN coalesce(t.doubt, t.fence) WHEN t.state IN (1, 3) THEN t.fence END,
                fingerprint = CASE WHEN {own} THEN t.fingerprint ELSE EXCLUDED.fingerprint END,
                ended = CASE WHEN {own} THEN t.ended ELSE {ended} END,
                until = {NOW} + (EXCLUDED.until - EXCLUDED.fence),
                purge_at = {stays_from} + (EXCLUDED.purge_at - EXCLUDED.fence),
                owner = EXCLUDED.owner, state = 1, awaited = false, record = NULL
            WHERE {own} OR {takeable}
            RETURNING scope, key, fence, attempt, previous, previous_fence
        )
        SELECT NULL::bigint, scope, key, NULL::bigint, NULL::bigint, NULL::bytea, fence, NULL::bigint, NULL::bigint,
            previous::bigint, previous_fence, attempt::bigint, NULL::bytea, NULL::bytea, NULL::bigint, NULL::bytea
        FROM _taken
        UNION ALL
        SELECT nth, NULL, NULL, now, state::bigint, owner, fence, until, doubt, previous::bigint, previous_fence,
            attempt::bigint, fingerprint, ended, purge_at, record
        FROM _found WHERE NOT open"
    )
}

/// The columns of a row that a claim finds, and the record if the key is completed.
const ROW_OF_X: &str = "x.state, x.owner, x.fence, x.until, x.doubt, x.previous, x.previous_fence, x.attempt, \
                        x.fingerprint, x.ended, x.purge_at, CASE WHEN x.state = 5 THEN x.record END AS record";

/// The end of a statement whose `_done` has the rows that it ended. Notifies their waiters, and returns which requests
/// ended one.
fn tell(nth: &str) -> String {
    // The channel has the table's name. NOTIFY costs each commit a lock of the whole database, so it is sent only if a caller waits.
    format!(
        "SELECT {nth}, CASE WHEN awaited THEN pg_notify('idem_keys', encode(key, 'hex') || ' ' || scope) IS NULL END \
         FROM _done"
    )
}

/// Completes keys, and returns which ones were held. The one update also finds rows that an earlier copy of the request
/// has completed, because a separate read would not see what a concurrent copy writes.
///
/// `$1` scopes, `$2` keys, `$3` owners, `$4` fences, `$5` records, `$6` ttls, `$7` and `$8` how long the rows are kept
/// at least and at most.
fn complete(requests: For) -> String {
    let (asked, from) = match requests {
        For::One => (
            "",
            "FROM (SELECT $1 AS scope, $2 AS key, $3 AS owner, $4 AS fence, $5 AS record, $6 AS ttl, $7 AS least,
                $8 AS most, 1::bigint AS nth) a",
        ),
        For::Many => (
            "_asked AS MATERIALIZED (
                SELECT scope COLLATE \"C\" AS scope, key, owner, fence, record, ttl, least, most, nth
                FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bigint[],
                    $8::bigint[]) WITH ORDINALITY AS a (scope, key, owner, fence, record, ttl, least, most, nth)
                LIMIT cardinality($1)
            ), ",
            "FROM _asked a",
        ),
    };
    let stays_from = stays_from("t.fence");
    format!(
        "WITH {asked}_done AS (
            UPDATE {TABLE} t SET
                until = CASE WHEN t.state = 5 THEN t.until ELSE {NOW} + a.ttl END,
                doubt = CASE WHEN t.state = 5 THEN t.doubt END,
                purge_at = CASE WHEN t.state = 5 OR t.purge_at BETWEEN {stays_from} + a.least AND {stays_from} + a.most
                    THEN t.purge_at ELSE {stays_from} + a.most END,
                record = CASE WHEN t.state = 5 THEN t.record ELSE a.record END,
                state = 5
            {from}
            WHERE t.scope = a.scope AND t.key = a.key AND t.owner = a.owner AND t.fence = a.fence
                AND t.state IN (1, 2, 5)
            RETURNING nth, t.scope, t.key, t.awaited
        )
        {}",
        tell("nth")
    )
}

/// Renews a lease. Returns a row if the key was held.
///
/// `$1` scope, `$2` key, `$3` owner, `$4` fence, `$5` lease, `$6` and `$7` how long the row is kept at least and at
/// most.
fn renew() -> String {
    let stays_from = stays_from("fence");
    format!(
        "UPDATE {TABLE} SET until = {NOW} + $5,
            purge_at = CASE WHEN purge_at BETWEEN {stays_from} + $6 AND {stays_from} + $7 THEN purge_at
                ELSE {stays_from} + $7 END
        WHERE scope = $1 AND key = $2 AND owner = $3 AND fence = $4 AND state = 1
        RETURNING 1::bigint"
    )
}

/// Releases a key after its body was started. Returns a row if the key was held.
///
/// `$1` scope, `$2` key, `$3` owner, `$4` fence, `$5` the new state, `$6` how long the row of a failed attempt is kept.
fn leave() -> String {
    let stays_from = stays_from("fence");
    format!(
        "WITH _done AS (
            UPDATE {TABLE} t SET
                doubt = CASE WHEN $5 = 4 AND state IN (1, 2) THEN NULL WHEN $5 = 2 AND state = 1 THEN fence
                    ELSE doubt END,
                previous = CASE WHEN $5 = 4 AND state IN (1, 2) THEN 2 ELSE previous END,
                previous_fence = CASE WHEN $5 = 4 AND state IN (1, 2) THEN NULL ELSE previous_fence END,
                purge_at = CASE WHEN $5 = 4 AND state IN (1, 2) THEN {stays_from} + $6 ELSE purge_at END,
                state = CASE WHEN state = 1 OR ($5 = 4 AND state = 2) THEN $5 ELSE state END
            WHERE scope = $1 AND key = $2 AND owner = $3 AND fence = $4 AND state <> 5
            RETURNING t.scope, t.key, t.awaited
        )
        {}",
        tell("1::bigint")
    )
}

/// Releases a key before its body was started.
///
/// `$1` scope, `$2` key, `$3` owner, `$4` how long the row of a failed attempt is kept, `$5` how long a row is kept
/// that is no longer needed.
fn leave_unrun() -> String {
    let own = "t.state = 1 AND t.owner = $3";
    let (gone, ended, stays_from) = (has_ended("$3", "t"), ended_with("$3"), stays_from("t.fence"));
    format!(
        "WITH _done AS (
            INSERT INTO {TABLE} AS t (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at)
            VALUES ($1, $2, 4, $3, 0, {NOW}, 1, 0, ''::bytea, {NOW} + $5)
            ON CONFLICT (scope, key) DO UPDATE SET
                ended = CASE WHEN t.owner = $3 THEN t.ended ELSE {ended} END,
                attempt = CASE WHEN {own} THEN greatest(t.attempt - 1, 0) ELSE t.attempt END,
                purge_at = CASE
                    WHEN {own} AND t.doubt IS NULL AND t.previous = 2 THEN {stays_from} + greatest($4, $5)
                    WHEN {own} AND t.doubt IS NULL THEN {stays_from} + $5
                    WHEN t.purge_at IS NOT NULL THEN greatest(t.purge_at, {stays_from} + $5)
                    END,
                state = CASE WHEN {own} AND t.doubt IS NOT NULL THEN 2 WHEN {own} THEN 4 ELSE t.state END
            WHERE ({own}) OR NOT (t.owner = $3 OR {gone}) OR t.purge_at < {stays_from} + $5
            RETURNING t.scope, t.key, t.awaited
        )
        {}",
        tell("1::bigint")
    )
}

/// Marks the key so that its ending is notified. Returns the rest of its lease, if it has one.
///
/// `$1` scope, `$2` key.
fn await_ending() -> String {
    let held = format!("scope = $1 AND key = $2 AND state IN (1, 3) AND until > {NOW}");
    format!(
        "WITH _marked AS (UPDATE {TABLE} SET awaited = true WHERE {held} AND NOT awaited RETURNING until)
        SELECT until - {NOW} FROM _marked
        UNION ALL
        SELECT until - {NOW} FROM {TABLE} WHERE {held} AND awaited"
    )
}

/// Returns no row. It fails if a column is missing.
pub(super) fn nothing(table: &Table) -> Arc<str> {
    table.named(&format!("SELECT scope, key, {ROW}, awaited, record FROM {TABLE} LIMIT 0")).into()
}

/// The filter of a listing for orphans.
pub(super) fn only_orphans() -> String {
    // A subquery, so that the clock is read once and not for each row.
    format!(" AND {}", is_orphan(&format!("(SELECT {NOW})")))
}

/// A condition that every running key and every orphan meets. Without statistics of the table, it makes the planner
/// expect few such rows, so that the planner doesn't walk all rows in key order to fill a page.
pub(super) const NEITHER_FREE_NOR_DONE: &str = " AND state IN (1, 2, 3)";

/// Resolves an orphan, or with `$5` any key. `$1` scope, `$2` key, `$3` the record if the body was executed, or null,
/// `$4` its ttl, `$5` whether the state doesn't matter, `$6` how long the row is kept beyond the ttl. A record replaces
/// that of an earlier resolution.
fn resolve() -> String {
    format!(
        "WITH _done AS (
            UPDATE {TABLE} t SET
                ended = {}, fence = fence + 1, record = $3,
                doubt = CASE WHEN $3 IS NULL THEN NULL WHEN state IN (2, 5) THEN COALESCE(doubt, fence) ELSE fence END,
                previous = CASE WHEN $3 IS NULL THEN 1 ELSE previous END,
                previous_fence = CASE WHEN $3 IS NULL THEN NULL ELSE previous_fence END,
                fingerprint = CASE WHEN $3 IS NULL THEN NULL ELSE fingerprint END,
                until = CASE WHEN $3 IS NULL THEN until ELSE {NOW} + $4 END,
                purge_at = {} + $4 + $6,
                state = CASE WHEN $3 IS NULL THEN 4 ELSE 5 END
            WHERE scope = $1 AND key = $2
                AND ($5 OR {} OR ($3 IS NOT NULL AND state = 5 AND doubt IS NOT NULL AND until > {NOW}))
            RETURNING t.scope, t.key, t.awaited
        )
        {}",
        ended_with("t.owner"),
        stays_from("fence + 1"),
        is_orphan(NOW),
        tell("1::bigint"),
    )
}

/// Counts the keys: held, orphaned, free, completed, and those that a sweep would delete.
fn stats() -> String {
    format!(
        "SELECT count(*) FILTER (WHERE state IN (1, 3) AND NOT orphan), count(*) FILTER (WHERE orphan),
            count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5), count(*) FILTER (WHERE sweepable)
        FROM (SELECT state, {} AS orphan, purge_at <= now AND (state IN (2, 4) OR until <= now) AS sweepable
            FROM {TABLE} t, (SELECT {NOW} AS now OFFSET 0) c) counted",
        is_orphan("now")
    )
}

/// Deletes at most `$1` rows that are no longer needed, and none whose `purge_at` is before `$2`. Returns how many, and
/// the latest `purge_at` among them. The clock is read once, so that the index can be used. Several processes may sweep
/// at once.
fn sweep() -> String {
    let now = format!("(SELECT {NOW})");
    format!(
        "WITH _swept AS (
            DELETE FROM {TABLE} WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM {TABLE}
                WHERE purge_at BETWEEN $2 AND {now} AND (state IN (2, 4) OR until <= {now})
                ORDER BY purge_at LIMIT $1 FOR UPDATE SKIP LOCKED))
            RETURNING purge_at
        )
        SELECT count(*), max(purge_at) FROM _swept"
    )
}
