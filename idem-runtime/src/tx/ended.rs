//! Whether a transaction has ended, asked where a claim is no longer to be found in it.

use super::{Column, Database, Statement, Transaction, Value};
use crate::error::{Error, NeedsAHuman, ScopedKey, StoreError};

/// Whether one is open. MySQL, which has no such variable, reads a comment here, and so always says that one is.
const IS_OPEN: &str = "SELECT 1 /*M!100000 AND @@in_transaction */";

/// The same of PostgreSQL, by an error: outside of a transaction it refuses a savepoint. Whoever asks has to roll back.
const SAVEPOINT: &str = "SAVEPOINT idempotency";

/// PostgreSQL's `no_active_sql_transaction`.
pub(super) const NOT_IN_TRANSACTION: &str = "25P01";

/// What is sent to a server before a `COMMIT`, in one round trip. PostgreSQL refuses it in a transaction that has failed, and
/// outside of one; MySQL and MariaDB, which pass over a savepoint outside of a transaction, refuse to release it there.
#[cfg(any(
    feature = "postgres",
    feature = "mysql",
    feature = "sqlx-sqlite",
    feature = "tokio-postgres",
    feature = "sea-orm"
))]
pub(super) const ASK: &str = "SAVEPOINT idempotency; RELEASE SAVEPOINT idempotency";

/// Whether the transaction has ended, as far as the driver or the database knows.
pub(super) async fn has_ended<T: Transaction>(tx: &mut T) -> bool {
    let statement = |sql, columns| Statement { sql, params: &[], columns };
    match tx.database() {
        _ if !tx.is_in_transaction() => true,
        Database::Postgres => {
            let made = tx.execute(statement(SAVEPOINT, &[])).await;
            made.is_err_and(|failure| failure.code() == Some(NOT_IN_TRANSACTION))
        }
        Database::MySql => {
            let open = tx.query(statement(IS_OPEN, &[Column::Integer])).await;
            open.is_ok_and(|row| row == Some(vec![Value::Integer(Some(0))]))
        }
        // It begins none within another.
        Database::Sqlite => {
            let begun = tx.execute(statement("BEGIN", &[])).await.is_ok();
            if begun {
                let _ = tx.execute(statement("ROLLBACK", &[])).await;
            }
            begun
        }
    }
}

/// Begins a transaction in the place of one that SQLite ended. sqlx goes on believing in that one until a rollback of its own
/// succeeds: without one to roll back, the connection returns to its pool and can't begin another.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlx-sqlite", feature = "sea-orm"))]
pub(super) async fn begin_again<T: Transaction>(tx: &mut T) {
    let _ = tx.execute(Statement { sql: "BEGIN", params: &[], columns: &[] }).await;
}

/// The error of a handler whose transaction has ended, or of a commit.
pub(super) fn lost(database: Database, key: Option<ScopedKey>) -> Error {
    let found = NeedsAHuman(
        "no transaction is open: the handler ended it, or the database did, as it does with a deadlock's victim on MySQL; \
         COMMIT and ROLLBACK are the caller's",
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
