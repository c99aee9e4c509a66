//! Finds out whether a transaction has ended. It is asked when the claim is no longer in it.

use super::{Column, Database, Statement, Transaction, Value};
use crate::error::{Error, NeedsAHuman, ScopedKey, StoreError};

/// Asks MariaDB whether a transaction is open. MySQL has no such variable. It takes the condition for a comment, and so
/// always answers that one is open.
const IS_OPEN: &str = "SELECT 1 /*M!100000 AND @@in_transaction */ AS is_open";

const COLUMNS: [Column; 1] = [Column::integer("is_open")];

/// PostgreSQL refuses it outside of a transaction. The caller has to roll back after it.
const SAVEPOINT: &str = "SAVEPOINT idempotency";

/// PostgreSQL's `no_active_sql_transaction`.
pub(super) const NOT_IN_TRANSACTION: &str = "25P01";

/// SQLite refuses it within a transaction.
///
/// A commit sends it too, where SQLite has ended the transaction: sqlx counts the connection as in one until its own
/// rollback succeeds. If there is no transaction to roll back, the connection returns to its pool and can't begin
/// another one.
pub(super) const BEGIN: Statement<'_> = statement("BEGIN");

/// Sent before a `COMMIT`, in one round trip, to ask whether the transaction can be committed. PostgreSQL refuses it in
/// a transaction that has failed, and outside of one. MySQL and MariaDB accept a savepoint outside of a transaction,
/// but refuse to release it.
#[cfg(any(
    feature = "postgres",
    feature = "mysql",
    feature = "sqlx-sqlite",
    feature = "sqlx-08-postgres",
    feature = "sqlx-08-mysql",
    feature = "tokio-postgres",
    feature = "sea-orm"
))]
pub(super) const ASK: &str = "SAVEPOINT idempotency; RELEASE SAVEPOINT idempotency";

/// Whether the transaction has ended, as far as the driver or the database knows.
pub(super) async fn has_ended<T: Transaction>(tx: &mut T) -> bool {
    if !tx.is_in_transaction() {
        return true;
    }
    match tx.database() {
        Database::Postgres => refuses_savepoint(tx).await,
        Database::MySql => {
            let open = tx.query(Statement { sql: IS_OPEN, params: &[], columns: &COLUMNS }).await;
            open.is_ok_and(|row| row == Some(vec![Value::Integer(Some(0))]))
        }
        Database::Sqlite => can_begin(tx).await,
    }
}

const fn statement(sql: &str) -> Statement<'_> {
    Statement { sql, params: &[], columns: &[] }
}

/// Whether PostgreSQL refuses a savepoint, and accepts another statement after that. A transaction that has failed
/// refuses both. So this needs no code of the error, which not every driver keeps.
async fn refuses_savepoint<T: Transaction>(tx: &mut T) -> bool {
    tx.execute(statement(SAVEPOINT)).await.is_err() && tx.execute(statement("SELECT 1")).await.is_ok()
}

/// Whether SQLite takes a `BEGIN`.
async fn can_begin<T: Transaction>(tx: &mut T) -> bool {
    let begun = tx.execute(BEGIN).await.is_ok();
    if begun {
        let _ = tx.execute(statement("ROLLBACK")).await;
    }
    begun
}

/// The error of a handler or of a commit whose transaction has ended.
pub(super) fn lost(database: Database, key: Option<ScopedKey>) -> Error {
    let found = NeedsAHuman(
        "no transaction is open: the handler ended it, or the database did, as MySQL does after a deadlock; COMMIT and \
         ROLLBACK are the caller's",
    );
    Error::TransactionLost { key, source: StoreError::refused(database.name(), found).in_own_words() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::consumer::{Disposition, disposition};

    #[test]
    fn a_lost_transaction_is_a_dead_letter_though_its_source_is_all_that_is_seen() {
        let Error::TransactionLost { source, .. } = lost(Database::MySql, None) else { panic!("it is lost") };
        let seen: Box<dyn std::error::Error + Send + Sync> = Box::new(source);
        assert_eq!(disposition(&Err::<(), _>(seen)), Disposition::DeadLetter);
    }
}
