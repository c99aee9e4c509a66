//! SQLite's statements. The time is the last parameter.

use super::Texts;

/// Whether a row can be taken: it is free, or completed with its ttl over, or an orphan that a sweep may delete in the
/// end.
macro_rules! takeable {
    () => {
        "(state = 4 OR (state = 5 AND until <= ?6) OR (purge_at IS NOT NULL \
         AND (state = 2 OR (state IN (1, 3) AND until <= ?6)) \
         AND coalesce(fingerprint = excluded.fingerprint, true)))"
    };
}

pub(super) const TEXTS: Texts<&str> = Texts {
    // It counts as a write even if it changes nothing. So it waits for the lock, and sees what the last transaction has
    // committed.
    claim: concat!(
        "INSERT INTO \"idem_keys\" (scope, key, state, owner, fence, until, previous, attempt, fingerprint, ended, purge_at) \
         VALUES (?1, ?2, 4, ?3, ?6, ?6, 1, 1, nullif(?4, x''), x'', ?6 + ?5) \
         ON CONFLICT (scope, key) DO UPDATE SET \
         fence = max(fence + 1, excluded.fence), \
         attempt = CASE WHEN state = 5 THEN 1 ELSE min(attempt, 4294967294) + 1 END, \
         doubt = NULL, \
         previous = CASE state WHEN 4 THEN previous WHEN 5 THEN 1 ELSE 3 END, \
         previous_fence = CASE state WHEN 4 THEN previous_fence WHEN 5 THEN NULL \
             WHEN 2 THEN coalesce(doubt, fence) ELSE fence END, \
         fingerprint = excluded.fingerprint, \
         ended = CAST(substr(CAST(owner || ended AS BLOB), 1, 64) AS BLOB), \
         purge_at = max(fence + 1, excluded.fence) + excluded.purge_at - excluded.fence, owner = excluded.owner, state = 4, record = NULL \
         WHERE ",
        takeable!(),
        " RETURNING fence, previous, 4 AS state, 0 AS time_left, 0 AS is_kept_for_ever, NULL AS packet, NULL AS is_open, \
         NULL AS fingerprint, NULL AS record"
    ),
    // `?1`, the owner, is not used: the claim says whether it got the key.
    read: Some(
        "SELECT NULL AS fence, previous, state, until - ?4 AS time_left, purge_at IS NULL AS is_kept_for_ever, \
         NULL AS packet, NULL AS is_open, fingerprint, CASE WHEN state = 5 THEN record END AS record \
         FROM \"idem_keys\" WHERE scope = ?2 AND key = ?3",
    ),
    complete: "UPDATE \"idem_keys\" SET state = 5, record = ?1, until = ?9 + ?2, \
               purge_at = CASE WHEN purge_at >= max(?9, fence) + ?3 THEN purge_at ELSE max(?9, fence) + ?4 END \
               WHERE scope = ?5 AND key = ?6 AND owner = ?7 AND fence = ?8 AND state = 4",
    withdraw: "DELETE FROM \"idem_keys\" \
               WHERE scope = ?1 AND key = ?2 AND owner = ?3 AND fence = ?4 AND state = 4 AND ended = x''",
    restore: "UPDATE \"idem_keys\" SET state = 2, doubt = previous_fence, attempt = max(attempt - 1, 0) \
              WHERE scope = ?1 AND key = ?2 AND owner = ?3 AND fence = ?4 AND state = 4 AND previous = 3",
};
