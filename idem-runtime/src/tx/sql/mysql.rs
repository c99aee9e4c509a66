//! The statements of MySQL and MariaDB.

use super::Texts;

/// The server's clock, at the time when the statement began.
macro_rules! now {
    () => {
        "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    };
}

/// Whether a transaction is open, on MariaDB. MySQL has no such variable, and takes this for a comment. Outside of a
/// transaction, a record would be committed at once.
macro_rules! and_is_open {
    () => {
        "/*M!100000 AND @@in_transaction */"
    };
}

/// Whether a row can be taken: it is free, or completed with its ttl over, or an orphan that a sweep may delete in the
/// end.
macro_rules! takeable {
    () => {
        concat!(
            "(state = 4 OR (state = 5 AND until <= ",
            now!(),
            ") OR (purge_at IS NOT NULL AND (state = 2 OR (state IN (1, 3) AND until <= ",
            now!(),
            ")) AND (fingerprint IS NULL OR VALUES(fingerprint) IS NULL OR fingerprint = VALUES(fingerprint))))"
        )
    };
}

/// Sets a column if the row can be taken.
macro_rules! set {
    ($column:literal, $value:expr) => {
        concat!($column, " = IF(", takeable!(), ", ", $value, ", ", $column, "), ")
    };
}

pub(super) const TEXTS: Texts<&str> = Texts {
    // Waits for the row of another transaction, and locks it. An INSERT IGNORE would take a shared lock, and two that
    // wait for a rollback would deadlock. MySQL runs a SET list from left to right. So the columns that say whether the
    // row can be taken, such as `until`, are assigned last or not at all: see the store's statements.
    claim: concat!(
        "INSERT INTO `idem_keys` \
         (scope, `key`, state, owner, fence, until, previous, attempt, fingerprint, ended, purge_at) VALUES (?, ?, 4, ?, ",
        now!(),
        ", ",
        now!(),
        ", 1, 1, NULLIF(?, X''), X'', ",
        now!(),
        " + ?) ON DUPLICATE KEY UPDATE ",
        set!(
            "previous_fence",
            "CASE WHEN state = 4 THEN previous_fence WHEN state = 5 THEN NULL WHEN state = 2 THEN COALESCE(doubt, fence) \
             ELSE fence END"
        ),
        set!("previous", "CASE WHEN state = 4 THEN previous WHEN state = 5 THEN 1 ELSE 3 END"),
        set!("attempt", "IF(state = 5, 1, LEAST(attempt, 4294967294) + 1)"),
        set!("doubt", "NULL"),
        set!("purge_at", "GREATEST(fence + 1, VALUES(fence)) + VALUES(purge_at) - VALUES(fence)"),
        set!("fence", "GREATEST(fence + 1, VALUES(fence))"),
        set!("ended", "LEFT(CONCAT(owner, ended), 64)"),
        set!("owner", "VALUES(owner)"),
        set!("record", "NULL"),
        set!("fingerprint", "VALUES(fingerprint)"),
        "state = IF(",
        takeable!(),
        ", 4, state)"
    ),
    // A locking read. A plain one could see the table as it was when the transaction began.
    read: Some(concat!(
        "SELECT IF(owner = ? AND state = 4, fence, NULL) AS fence, previous, state, until - ",
        now!(),
        " AS time_left, purge_at IS NULL AS is_kept_for_ever, CAST(@@max_allowed_packet AS SIGNED) AS packet, \
         CAST(IF(@@autocommit, 1 ",
        and_is_open!(),
        ", -1) AS SIGNED) AS is_open, fingerprint, IF(state = 5, record, NULL) AS record \
         FROM `idem_keys` WHERE scope = ? AND `key` = ? FOR UPDATE"
    )),
    complete: concat!(
        "UPDATE `idem_keys` SET state = 5, record = ?, until = ",
        now!(),
        " + ?, purge_at = IF(purge_at >= GREATEST(",
        now!(),
        ", fence) + ?, purge_at, GREATEST(",
        now!(),
        ", fence) + ?) WHERE scope = ? AND `key` = ? AND owner = ? AND fence = ? AND state = 4 ",
        and_is_open!()
    ),
    withdraw: "DELETE FROM `idem_keys` \
               WHERE scope = ? AND `key` = ? AND owner = ? AND fence = ? AND state = 4 AND ended = X''",
    restore: "UPDATE `idem_keys` SET state = 2, doubt = previous_fence, attempt = IF(attempt > 0, attempt - 1, 0) \
              WHERE scope = ? AND `key` = ? AND owner = ? AND fence = ? AND state = 4 AND previous = 3",
};
