//! PostgreSQL's statements.

use super::Texts;

/// The server's clock, which moves within a statement. `now()` would be as old as the transaction.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}

/// Whether a row can be taken: it is free, or completed with its ttl over, or an orphan that a sweep may delete in the
/// end.
macro_rules! takeable {
    ($row:literal, $fingerprint:literal) => {
        concat!(
            "(",
            $row,
            ".state = 4 OR (",
            $row,
            ".state = 5 AND ",
            $row,
            ".until <= ",
            now!(),
            ") OR (",
            $row,
            ".purge_at IS NOT NULL AND (",
            $row,
            ".state = 2 OR (",
            $row,
            ".state IN (1, 3) AND ",
            $row,
            ".until <= ",
            now!(),
            ")) AND coalesce(",
            $row,
            ".fingerprint = ",
            $fingerprint,
            ", true)))"
        )
    };
}

pub(super) const TEXTS: Texts<&str> = Texts {
    // ON CONFLICT DO UPDATE locks the row, and so writes to the log, even if its WHERE is false. So a row that can't be
    // taken is filtered out before. There is never a unique violation, which would abort the caller's transaction.
    claim: concat!(
        "WITH _taken AS (
            INSERT INTO \"idem_keys\" AS t
                (scope, key, state, owner, fence, until, previous, attempt, fingerprint, ended, purge_at)
            SELECT $1::text, $2::bytea, 4, $3::bytea, c.now, c.now, 1, 1, nullif($4::bytea, ''), ''::bytea,
                c.now + $5::bigint
            FROM (SELECT ",
        now!(),
        " AS now) c
            WHERE NOT EXISTS (SELECT FROM \"idem_keys\" x WHERE x.scope = $1 AND x.key = $2 AND NOT ",
        takeable!("x", "nullif($4::bytea, '')"),
        ")
            ON CONFLICT (scope, key) DO UPDATE SET
                fence = greatest(t.fence + 1, EXCLUDED.fence),
                attempt = CASE WHEN t.state = 5 THEN 1 ELSE least(t.attempt, 2147483646) + 1 END,
                doubt = NULL,
                previous = CASE t.state WHEN 4 THEN t.previous WHEN 5 THEN 1 ELSE 3 END,
                previous_fence = CASE t.state WHEN 4 THEN t.previous_fence WHEN 5 THEN NULL
                    WHEN 2 THEN coalesce(t.doubt, t.fence) ELSE t.fence END,
                fingerprint = EXCLUDED.fingerprint,
                ended = substr(t.owner || t.ended, 1, 64),
                purge_at = greatest(t.fence + 1, EXCLUDED.fence) + (EXCLUDED.purge_at - EXCLUDED.fence),
                owner = EXCLUDED.owner, state = 4, awaited = false, record = NULL
            WHERE ",
        takeable!("t", "EXCLUDED.fingerprint"),
        "
            RETURNING fence, previous
        )
        SELECT fence, previous::bigint AS previous, 4::bigint AS state, 0::bigint AS time_left,
            0::bigint AS is_kept_for_ever, NULL::bigint AS packet, NULL::bigint AS is_open,
            NULL::bytea AS fingerprint, NULL::bytea AS record
        FROM _taken
        UNION ALL
        SELECT NULL, u.previous::bigint, u.state::bigint, u.until - ",
        now!(),
        ", CASE WHEN u.purge_at IS NULL THEN 1 ELSE 0 END, NULL, NULL, u.fingerprint,
            CASE WHEN u.state = 5 THEN u.record END
        FROM \"idem_keys\" u WHERE u.scope = $1 AND u.key = $2 AND NOT EXISTS (SELECT FROM _taken)"
    ),
    // The claim returns the row, unless another transaction committed it while this one waited.
    read: None,
    complete: concat!(
        "UPDATE \"idem_keys\" SET state = 5, record = $1::bytea, until = ",
        now!(),
        " + $2::bigint, purge_at = CASE WHEN purge_at >= greatest(",
        now!(),
        ", fence) + $3::bigint THEN purge_at ELSE greatest(",
        now!(),
        ", fence) + $4::bigint END
        WHERE scope = $5::text AND key = $6::bytea AND owner = $7::bytea AND fence = $8::bigint AND state = 4"
    ),
    withdraw: "DELETE FROM \"idem_keys\" \
               WHERE scope = $1::text AND key = $2::bytea AND owner = $3::bytea AND fence = $4::bigint AND state = 4 \
               AND ended = ''::bytea",
    restore: "UPDATE \"idem_keys\" SET state = 2, doubt = previous_fence, attempt = greatest(attempt - 1, 0) \
              WHERE scope = $1::text AND key = $2::bytea AND owner = $3::bytea AND fence = $4::bigint AND state = 4 \
              AND previous = 3",
};
