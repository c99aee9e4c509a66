//! Committing a transaction in which handlers ran.

use std::future::Future;
use std::pin::Pin;

use crate::error::Error;

/// Commits a transaction. It returns an error unless the database committed.
///
/// A driver's own `commit` can return `Ok` though the transaction was rolled back. If a message is acknowledged at such
/// an `Ok`, it is lost. It happens in three cases:
///
/// - PostgreSQL answers the `COMMIT` of a transaction in which a statement failed with `ROLLBACK`. sqlx, sea-orm and
///   tokio-postgres don't look at that answer.
/// - MySQL and MariaDB roll back the whole transaction of a deadlock's victim, and answer its `COMMIT` with `Ok`.
/// - sqlx rolls the whole transaction back where a `begin` within it fails or is dropped. Its `commit` then sends
///   nothing.
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
/// | `sqlx::Transaction` (sqlx 0.8 and 0.9), `sea_orm::DatabaseTransaction`, `tokio_postgres::Transaction` | a future | 2 round trips: a question whether the transaction can be committed, and `COMMIT` |
/// | `rusqlite::Transaction` | a `Result` | `COMMIT` |
/// | any other | implement [`Commit`] | |
///
/// diesel-async has no type of a transaction: its `transaction` commits, as the [module](super) says.
///
/// The transactions of `deadpool_postgres` have a type of their own, out of which the tokio-postgres transaction can't
/// be taken. Begin a tokio-postgres transaction instead: `tokio_postgres::Client::transaction(&mut client)`.
///
/// A savepoint is not a transaction, and releasing it commits nothing. In sqlx, sea-orm and tokio-postgres a savepoint
/// has the type of a transaction. This function then releases it, as its own `commit` does. So acknowledge nothing
/// before the outermost transaction is committed. `rusqlite::Savepoint` has a type of its own, which the compiler
/// refuses here.
///
/// # Errors
///
/// For each error, [`Error::executed`] is true, and the `key` is `None`, because the error concerns all handlers that
/// ran in the transaction.
///
/// - [`Error::Conflict`], retryable: the database rolled back. Either a statement had failed and its error was ignored,
///   or the database refused the commit: a serialization failure, a deferred constraint, a full disk. If it refused the
///   commit, its error is the source. A deferred constraint can fail at each redelivery, for as long as the broker
///   delivers. With `SET CONSTRAINTS ALL IMMEDIATE` at the end of the handler, the constraint fails there, as an error
///   of the handler, for which [`is_final`](crate::consumer::Refusal::is_final) can return `true`.
/// - [`Error::NotRecorded`], retryable: the answer was lost, or it doesn't say whether the transaction was committed. A
///   redelivery replays the recorded results if it was, and runs if it was not.
/// - [`Error::TransactionLost`], not retryable: the transaction had ended before. What was written after its end may be
///   committed.
///
/// If the future is dropped, nobody knows whether the transaction was committed.
pub fn commit<T: Commit>(tx: T) -> T::Committed {
    tx.commit()
}

/// An owned transaction of a driver, for [`commit`].
///
/// To implement it for a driver of your own, send `COMMIT`, and convert its error with
/// [`Failure::at_commit`](super::Failure::at_commit). On PostgreSQL, some drivers don't tell the answer `ROLLBACK` from
/// `COMMIT`. With such a driver, first send a statement that fails in a failed transaction, such as `SELECT 1`, and
/// convert its error with the same function. After any error, roll the transaction back, as a driver does when a
/// transaction is dropped.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no owned transaction that can be committed",
    label = "`idem_runtime::tx::Commit` is not implemented for `{Self}`",
    note = "give `commit` the transaction itself, of sqlx 0.8 or 0.9, rusqlite, tokio-postgres 0.7 or sea-orm 2: each is \
            known behind its feature of `idem-runtime`",
    note = "a savepoint commits nothing: release it with its own `commit`",
    note = "with `deadpool_postgres`, begin with `tokio_postgres::Client::transaction(&mut client)`; for another driver, \
            implement `idem_runtime::tx::Commit`"
)]
pub trait Commit {
    /// What committing returns: [`Committing`], or `Result<(), Error>` if the driver blocks.
    type Committed;

    /// Commits the transaction.
    fn commit(self) -> Self::Committed;
}

/// The future of a commit.
pub type Committing<'t> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 't>>;
