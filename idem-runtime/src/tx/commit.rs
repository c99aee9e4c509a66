//! The commit of a transaction in which handlers ran.

use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// Commits a transaction, and says whether the database did.
///
/// A driver's own `commit` can say `Ok` of a transaction that was rolled back. PostgreSQL answers the `COMMIT` of a
/// transaction in which a statement has failed with a `ROLLBACK`, and sqlx, sea-orm and tokio-postgres don't look at that
/// answer. MySQL and MariaDB roll the whole transaction of a deadlock's victim back, and answer its `COMMIT` with `Ok`. sqlx
/// rolls the whole transaction back where a `begin` within it fails or is dropped, and its `commit` then sends nothing. A
/// message that is acknowledged by such an `Ok` is lost.
///
#[cfg_attr(feature = "postgres", doc = "```no_run")]
#[cfg_attr(not(feature = "postgres"), doc = "```ignore")]
/// use idem_runtime::{Error, tx};
///
/// # enum BillingError { Database(sqlx::Error), Idempotency(Error) }
/// # impl From<sqlx::Error> for BillingError { fn from(error: sqlx::Error) -> Self { Self::Database(error) } }
/// # impl From<Error> for BillingError { fn from(error: Error) -> Self { Self::Idempotency(error) } }
/// # async fn charge(tx: &mut sqlx::PgTransaction<'_>, order: &str) -> Result<(), BillingError> { Ok(()) }
/// async fn handle(pool: sqlx::PgPool, order: &str) -> Result<(), BillingError> {
///     let mut tx = pool.begin().await?;
///     charge(&mut tx, order).await?;
///     tx::commit(tx).await?;
///     Ok(())
/// }
/// ```
///
/// | transaction | returns | costs |
/// |---|---|---|
/// | `sqlx::Transaction`, `sea_orm::DatabaseTransaction`, `tokio_postgres::Transaction` | a future | 2 round trips: a question, and `COMMIT` |
/// | `rusqlite::Transaction` | a `Result` | `COMMIT` |
/// | any other | implement [`Commit`] | |
///
/// `deadpool_postgres` gives its transactions a type of its own, which keeps the one that it holds. Take tokio-postgres' own
/// from its client: `tokio_postgres::Client::transaction(&mut client)`.
///
/// A savepoint is not a transaction: to release one commits nothing. sqlx, sea-orm and tokio-postgres give a savepoint
/// the type of a transaction, and here it is released as by its own `commit`: acknowledge nothing before the outermost
/// transaction is committed. `rusqlite::Savepoint` has a type of its own, and is refused by the compiler.
///
/// # Errors
///
/// [`Error::executed`] is true for each. Their `key` is `None`: they are about all handlers that ran in the transaction.
///
/// - [`Error::Conflict`], retryable: the database rolled back. A statement had failed before and was passed over, or the
///   commit was refused: a serialization failure, a deferred constraint, a full disk. The database's own error is the
///   source where the commit was refused. It is retried as a handler's own error is, for as long as the broker delivers,
///   and a deferred constraint can fail each time: with `SET CONSTRAINTS ALL IMMEDIATE` at the end of a handler it fails
///   there, as an error of the handler, which [`is_final`](crate::consumer::Refusal::is_final) can tell.
/// - [`Error::NotRecorded`], retryable: the answer was lost, or doesn't say what became of the transaction. A redelivery
///   replays the recorded results, or runs.
/// - [`Error::TransactionLost`], not retryable: the transaction had ended before, and what came after may be committed.
///
/// A call that is dropped is one whose answer was lost.
pub fn commit<T: Commit>(tx: T) -> T::Committed {
    tx.commit()
}

/// An owned transaction of a driver, for [`commit`].
///
/// For a driver of one's own: send `COMMIT`, and make an error of it with
/// [`Failure::at_commit`](super::Failure::at_commit). On PostgreSQL, where the driver doesn't tell the answer `ROLLBACK`
/// from `COMMIT`, send a statement before that fails in a failed transaction, such as `SELECT 1`, and make an error of that
/// with the same function. After any error the transaction has to be rolled back, as a transaction that is dropped is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no owned transaction that can be committed",
    label = "`idem_runtime::tx::Commit` is not implemented for `{Self}`",
    note = "give `commit` the transaction itself, of sqlx, rusqlite, tokio-postgres or sea-orm: each is known behind a \
            feature of `idem-runtime`",
    note = "a savepoint commits nothing: release it with its own `commit`",
    note = "with `deadpool_postgres`, begin with `tokio_postgres::Client::transaction(&mut client)`; for another driver, \
            implement `idem_runtime::tx::Commit`"
)]
pub trait Commit {
    /// What a commit is: [`Committing`], or a `Result<(), Error>` where the driver blocks.
    type Committed;

    /// Commits it.
    fn commit(self) -> Self::Committed;
}

/// A commit that is under way.
pub type Committing<'t> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 't>>;
