//! Tx mode: the claim and the result are written through the transaction that the handler writes its business rows with.
//!
//! Nothing can come between an effect and its record, so a duplicate can't repeat an effect in that database. There is no
//! lease, and so nothing to be renewed or to be lost.
//!
#![cfg_attr(feature = "postgres", doc = "```no_run")]
#![cfg_attr(not(feature = "postgres"), doc = "```ignore")]
//! # use idem_runtime::{Error, idempotent, tx};
//! # struct Order { id: String, cents: i64 }
//! # enum BillingError { Database(sqlx::Error), Idempotency(Error) }
//! # impl From<sqlx::Error> for BillingError { fn from(error: sqlx::Error) -> Self { Self::Database(error) } }
//! # impl From<Error> for BillingError { fn from(error: Error) -> Self { Self::Idempotency(error) } }
//! #[idempotent(key = "order.id", tx = "tx", scope = "billing.charge")]
//! async fn charge(tx: &mut sqlx::PgTransaction<'_>, order: &Order) -> Result<i64, BillingError> {
//!     let booked = "INSERT INTO charges (order_id, cents) VALUES ($1, $2)";
//!     sqlx::query(booked).bind(&order.id).bind(order.cents).execute(&mut **tx).await?;
//!     Ok(order.cents)
//! }
//!
//! # async fn handle(pool: sqlx::PgPool, order: Order) -> Result<(), BillingError> {
//! let mut tx = pool.begin().await?;
//! let charged = charge(&mut tx, &order).await?; // an error drops the transaction, and so rolls it back
//! tx::commit(tx).await?; // as the driver's own, but for an `Ok` of what was rolled back
//! # Ok(())
//! # }
//! ```
//!
//! # Whose transaction
//!
//! | handle | feature |
//! |---|---|
//! | `&mut sqlx::Transaction<'_, Postgres>`, `&mut PgConnection` | `postgres` |
//! | `&mut sqlx::Transaction<'_, MySql>`, `&mut MySqlConnection` | `mysql` |
//! | `&mut sqlx::Transaction<'_, Sqlite>`, `&mut SqliteConnection` | `sqlx-sqlite` |
//! | `&rusqlite::Transaction<'_>`, `&rusqlite::Savepoint<'_>`, `&rusqlite::Connection`, for sync and async handlers | `sqlite` |
//! | `&tokio_postgres::Transaction<'_>`, and so a `&` to one of `deadpool_postgres`, which derefs to it | `tokio-postgres` |
//! | `&sea_orm::DatabaseTransaction` | `sea-orm` |
//! | any other | implement [`Transaction`] or [`BlockingTransaction`]: four short methods |
//!
//! A connection is refused ([`Error::NotInTransaction`](crate::Error::NotInTransaction)) unless its driver knows it to be in
//! a transaction: sqlx doesn't know of one that was begun by an SQL text of your own. rusqlite asks SQLite itself.
//!
//! sqlx names the statements that it prepares on PostgreSQL, which PgBouncer's `pool_mode = transaction` mixes up: one can get
//! another's answer, and be told that it succeeded. A transaction can't ask whether such a pooler is there. So connect past it
//! or use tokio-postgres. Where a store of the process has found such a pooler, the first transaction of sqlx or sea-orm after
//! that is warned, whichever server it is on.
//!
//! A recorded result is a parameter of a statement: sea-orm shows those to its metric callback, and logs them with its feature
//! `debug-print`.
//!
//! # What it costs
//!
//! Two statements more in the transaction for a first execution: the claim and the record. A duplicate costs one (two on
//! SQLite), which writes nothing. On MySQL and MariaDB the claim is two statements. [`commit`] takes a round trip more than
//! the driver's own on PostgreSQL, MySQL and MariaDB.
//!
//! # What a duplicate sees
//!
//! | the first transaction | the duplicate |
//! |---|---|
//! | was committed | replays the recorded result |
//! | was rolled back, or its handler returned an `Err` or was cancelled | runs |
//! | is under way | waits for it on PostgreSQL at READ COMMITTED, on MySQL and MariaDB, and on SQLite where it wrote or said `BEGIN IMMEDIATE` before it read; else [`Error::Conflict`](crate::Error::Conflict): roll back, and run the transaction again |
//!
//! A duplicate leaves the transaction usable. Roll it back after any `Err`, the handler's own too, and where a handler was
//! cancelled or unwound: no claim is left, so what was written by then would be committed, and written again when the message
//! comes again. After a handler's own error, a caller that wants to go on in the same transaction rolls back to a savepoint
//! that it has made before the call; after [`Error::Conflict`](crate::Error::Conflict) only the whole transaction will do. A
//! time-out belongs around the whole transaction. The handler leaves `COMMIT` and `ROLLBACK` to its caller.
//!
//! Nothing is handled before the commit: acknowledge a message by the result of the whole transaction, commit included, and
//! commit with [`commit`], which is an error where the database rolled back.
//!
//! # A transaction that is gone
//!
//! On MySQL and MariaDB a deadlock undoes the *whole* transaction of its victim: what came before a savepoint too, and the
//! savepoint itself, so that a rollback to it is error 1305, `SAVEPOINT … does not exist`. The driver doesn't know. What the
//! body or its caller sends next is in no transaction, and committed at once; a `COMMIT` says `Ok`. So:
//!
//! - A body returns the error of a statement that failed, a deadlock's (1213) above all. It doesn't send the statement again.
//! - A caller rolls the whole transaction back then, and runs all of it again. It doesn't pass over an error 1305.
//! - It commits with [`commit`].
//!
//! MariaDB says whether a transaction is open. A handler that is called in none is
//! [`Error::NotInTransaction`](crate::Error::NotInTransaction), and one whose transaction is gone when its body returns is
//! [`Error::TransactionLost`](crate::Error::TransactionLost), which no redelivery may follow: what it wrote after that may be
//! committed. MySQL doesn't say it: there the second is [`Error::NotRecorded`](crate::Error::NotRecorded), and a redelivery
//! can repeat what was committed. With `autocommit = 0`, the next statement begins a new transaction, and neither can say: such
//! a connection is refused ([`Error::Config`](crate::Error::Config)). SQLite undoes a transaction by itself where the disk is
//! full or fails, and at `ON CONFLICT ROLLBACK`: it is asked, too. sqlx 0.9 doesn't hear of that, and its own rollback fails
//! then: a pool's connection goes on as one in a transaction, and `begin_with` fails on it from then on
//! (`InvalidSavePointStatement`). End such a transaction by [`commit`], which is `TransactionLost` and leaves the connection as
//! it should be. PostgreSQL keeps a transaction in which a statement has failed, refuses whatever comes next,
//! and undoes it in the end.
//!
//! A duplicate waits for as long as the first transaction takes. What bounds it is the database's: `SET LOCAL lock_timeout` on
//! PostgreSQL, `innodb_lock_wait_timeout`, SQLite's `busy_timeout`. Then it is [`Error::Conflict`](crate::Error::Conflict).
//!
//! sqlx's MySQL connection doesn't survive a call that is dropped while a statement is prepared on it: what comes next takes
//! the rest of that answer for its own. Close it, as by a pool's `close_on_drop`, where a handler was timed out.
//!
//! On MySQL and MariaDB, `CREATE TABLE`, `TRUNCATE` and their like commit the transaction, and its driver doesn't know: what
//! comes after is committed statement by statement, and no duplicate waits for it. Keep them out of such transactions. On
//! MariaDB a handler that has done so is [`Error::TransactionLost`](crate::Error::TransactionLost).
//!
//! At stricter levels than those, and on MariaDB with `innodb_snapshot_isolation` (its default from 11.6 on) in a transaction
//! that has read before, a duplicate that comes too late for its snapshot gets the conflict too.
//!
//! "Once" is as durable as a commit is. A server that shows a commit before it is on its disk can have a duplicate replay what
//! its death then takes back: InnoDB without a binary log (MariaDB's default: turn on `log_bin`, with `sync_binlog = 1`),
//! PostgreSQL with `synchronous_commit = off`.
//!
//! # The table
//!
//! The rows are those of the stores, in the table `idempotency` of the transaction's own database: create it with the
//! store's `migrate`, or put [`schema`] among your migrations. So an
//! [`IdempotencyAdmin`](crate::IdempotencyAdmin) of a store on that database shows the keys of both modes, and sweeps them:
//! open one (a key under way is seen once it is committed; `forget` and `resolve` may wait for it), or now and then run `DELETE FROM idempotency WHERE purge_at < ..`, in microseconds since the Unix epoch.
//!
//! # From lease mode to tx mode
//!
//! Add `tx`, keep the `scope`, and keep the keys in the database of the business rows. Completed keys replay as before, but for
//! errors that `on_error` recorded: those are [`Error::Decode`](crate::Error::Decode) from then on. A
//! key that a process of the old version still holds is [`Error::InProgress`](crate::Error::InProgress) until its lease ends.
//! A key whose holder died runs again, as under `on_crash = "rerun"`; but one that was parked, or left for a reconcile
//! function, stays [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) until it is resolved. Both versions can run at
//! once, in different processes: in one, the second is [`Error::ScopeTaken`](crate::Error::ScopeTaken).

pub(crate) mod call;
mod commit;
mod database;
mod ended;
mod failure;
mod found;
#[cfg(feature = "sqlite")]
mod rusqlite;
#[cfg(feature = "sea-orm")]
mod sea_orm;
mod sql;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlx-sqlite"))]
mod sqlx;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

use std::future::{Future, ready};

pub use self::commit::{Commit, Committing, commit};
pub use self::database::{Database, schema};
pub use self::failure::Failure;

/// For drivers that name what they prepare: a pooler by transaction mixes it up.
#[cfg(any(feature = "postgres", feature = "mysql", feature = "sqlx-sqlite", feature = "sea-orm"))]
fn warn_behind_pooler(database: Database) {
    #[cfg(feature = "postgres")]
    if database == Database::Postgres {
        crate::store::postgres::pooler::warn_transactions();
    }
    #[cfg(not(feature = "postgres"))]
    let _ = database;
}

/// A statement for a driver to prepare and run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Statement<'a> {
    /// The text, of which there are a few for each database: worth keeping prepared. Parameters are `$1`, `$2` on
    /// PostgreSQL, `?1`, `?2` on SQLite, and `?` on MySQL.
    pub sql: &'static str,
    /// One value for each parameter.
    pub params: &'a [Param<'a>],
    /// What [`Transaction::query`] answers with; empty for [`Transaction::execute`].
    pub columns: &'static [Column],
}

/// A parameter of a [`Statement`]. None is ever null.
#[derive(Clone, Copy)]
pub enum Param<'a> {
    /// `text`.
    Text(&'a str),
    /// `bytea`, `VARBINARY`, `BLOB`.
    Bytes(&'a [u8]),
    /// `bigint`, `INTEGER`.
    Integer(i64),
}

/// Shows no bytes: they can be those of a result. A driver that logs its parameters is better given this than them.
impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({text:?})"),
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Integer(number) => write!(f, "Integer({number})"),
        }
    }
}

/// The type of a column of an answer. Any column can be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// 64 bits, with a sign.
    Integer,
    /// Bytes.
    Bytes,
}

/// A value of an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Column::Integer`].
    Integer(Option<i64>),
    /// Of a [`Column::Bytes`].
    Bytes(Option<Vec<u8>>),
}

/// Shows no bytes: they can be those of a result.
impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(number) => write!(f, "Integer({number:?})"),
            Self::Bytes(bytes) => write!(f, "Bytes({:?} bytes)", bytes.as_ref().map(Vec::len)),
        }
    }
}

/// A transaction of a driver, for an async handler's `tx`.
///
/// A handler that takes `tx: &mut X` needs it of `X`; one that takes `tx: &X` needs it of `&X`. The library sends at most
/// three statements for a call, one after the other, and neither commits nor rolls back. Where a claim is no longer to be found
/// behind the body, it asks whether a transaction is open: by a read on MariaDB, by a savepoint on PostgreSQL, and by `BEGIN` on
/// SQLite, followed by `ROLLBACK` where that succeeded.
///
/// ```
/// use idem_runtime::tx::{Column, Database, Failure, Statement, Transaction, Value};
///
/// # struct Driver;
/// # struct DriverRow;
/// # #[derive(Debug)] struct DriverError { code: Option<String> }
/// # impl std::fmt::Display for DriverError { fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
/// # impl std::error::Error for DriverError {}
/// # impl DriverRow {
/// #     fn get_i64(&self, _: usize) -> Option<i64> { None }
/// #     fn get_bytes(&self, _: usize) -> Option<Vec<u8>> { None }
/// # }
/// # impl Driver {
/// #     async fn fetch(&mut self, _: &str, _: &[idem_runtime::tx::Param<'_>]) -> Result<Option<DriverRow>, DriverError> { Ok(None) }
/// #     async fn run(&mut self, _: &str, _: &[idem_runtime::tx::Param<'_>]) -> Result<u64, DriverError> { Ok(0) }
/// # }
/// struct MyTransaction(Driver);
///
/// fn failed(error: DriverError) -> Failure {
///     match error.code.clone() {
///         Some(sqlstate) => Failure::answered(Database::Postgres, &sqlstate, error),
///         None => Failure::unanswered(error),
///     }
/// }
///
/// impl Transaction for MyTransaction {
///     fn database(&self) -> Database {
///         Database::Postgres
///     }
///
///     fn is_in_transaction(&self) -> bool {
///         true // its type says so
///     }
///
///     async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
///         let row = self.0.fetch(statement.sql, statement.params).await.map_err(failed)?;
///         Ok(row.map(|row| {
///             let columns = statement.columns.iter().enumerate();
///             let value = |(nth, column): (usize, &Column)| match column {
///                 Column::Integer => Value::Integer(row.get_i64(nth)),
///                 Column::Bytes => Value::Bytes(row.get_bytes(nth)),
///             };
///             columns.map(value).collect()
///         }))
///     }
///
///     async fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure> {
///         self.0.run(statement.sql, statement.params).await.map_err(failed)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no transaction that a handler's `tx` can be",
    label = "`idem_runtime::tx::Transaction` is not implemented for `{Self}`",
    note = "take a transaction of sqlx by `&mut`, and one of rusqlite, tokio-postgres or sea-orm by `&`: each is known \
            behind a feature of `idem-runtime`",
    note = "for another driver, implement `idem_runtime::tx::Transaction`: for `X` where `tx` is a `&mut X`, for `&X` \
            where it is a `&X`"
)]
pub trait Transaction {
    /// Whose SQL it speaks.
    fn database(&self) -> Database;

    /// Whether the driver knows that a transaction is open. One that can't tell implements this trait for its type of
    /// transactions alone.
    fn is_in_transaction(&self) -> bool;

    /// Runs a statement, and answers with its only row, if it has one.
    ///
    /// # Errors
    ///
    /// What the driver said, with the database's code for it.
    fn query(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<Option<Vec<Value>>, Failure>> + Send;

    /// Runs a statement, and answers with the number of rows that it changed.
    ///
    /// # Errors
    ///
    /// What the driver said, with the database's code for it.
    fn execute(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// A transaction of a driver that blocks, for a sync handler's `tx`, and an async one's. As [`Transaction`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no transaction that a sync handler's `tx` can be",
    label = "`idem_runtime::tx::BlockingTransaction` is not implemented for `{Self}`",
    note = "with an async driver, such as sqlx, make the handler `async`",
    note = "in one that isn't, take a transaction of rusqlite by `&`, behind the feature `sqlite` of `idem-runtime`; for \
            another driver, implement `idem_runtime::tx::BlockingTransaction`: for `X` where `tx` is a `&mut X`, for `&X` \
            where it is a `&X`"
)]
pub trait BlockingTransaction {
    /// As [`Transaction::database`].
    fn database(&self) -> Database;

    /// As [`Transaction::is_in_transaction`].
    fn is_in_transaction(&self) -> bool;

    /// As [`Transaction::query`].
    ///
    /// # Errors
    ///
    /// What the driver said, with the database's code for it.
    fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure>;

    /// As [`Transaction::execute`].
    ///
    /// # Errors
    ///
    /// What the driver said, with the database's code for it.
    fn execute(&mut self, statement: Statement<'_>) -> Result<u64, Failure>;
}

#[diagnostic::do_not_recommend]
impl<T: BlockingTransaction> Transaction for T {
    fn database(&self) -> Database {
        BlockingTransaction::database(self)
    }

    fn is_in_transaction(&self) -> bool {
        BlockingTransaction::is_in_transaction(self)
    }

    fn query(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<Option<Vec<Value>>, Failure>> + Send {
        ready(BlockingTransaction::query(self, statement))
    }

    fn execute(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<u64, Failure>> + Send {
        ready(BlockingTransaction::execute(self, statement))
    }
}
