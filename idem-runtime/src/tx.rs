//! Tx mode: the library writes the claim and the result in the same transaction in which the handler writes its
//! business rows.
//!
//! An effect in that database and its record are committed together or not at all. So a duplicate can't repeat the
//! effect. There is no lease that could be lost.
//!

// Of the other rooms, this one may import `protocol`, `codec`, `task`, `error`, `store`, `handler` and `engine`
// (ARCHITECTURE.md, "Floors"). Of the engine it uses how a record is replayed and how a call is refused.
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
//! let charged = charge(&mut tx, &order).await?; // on an error, the transaction is dropped, and so rolled back
//! tx::commit(tx).await?; // as the driver's own `commit`, but an error where the database rolled back
//! # Ok(())
//! # }
//! ```
//!
//! # Which drivers
//!
//! | handle | feature |
//! |---|---|
//! | `&mut sqlx::Transaction<'_, Postgres>`, `&mut PgConnection` | `postgres` |
//! | `&mut sqlx::Transaction<'_, MySql>`, `&mut MySqlConnection` | `mysql` |
//! | `&mut sqlx::Transaction<'_, Sqlite>`, `&mut SqliteConnection` | `sqlx-sqlite` |
//! | the same of sqlx 0.8, on PostgreSQL | `sqlx-08-postgres` |
//! | the same of sqlx 0.8, on MySQL and MariaDB | `sqlx-08-mysql` |
//! | `&mut diesel_async::AsyncPgConnection`, of diesel-async 0.9: see "With diesel-async" | `diesel-async` |
//! | `&rusqlite::Transaction<'_>`, `&rusqlite::Savepoint<'_>`, `&rusqlite::Connection`, for sync and async handlers | `sqlite` |
//! | `&tokio_postgres::Transaction<'_>`, and so a `&` to one of `deadpool_postgres`, which derefs to it | `tokio-postgres` |
//! | `&sea_orm::DatabaseTransaction` | `sea-orm` |
//! | any other | implement [`Transaction`] or [`BlockingTransaction`]: four short methods |
//!
//! Where no other version is named, sqlx is sqlx 0.9, tokio-postgres 0.7 and sea-orm 2. The same type of another version
//! is another type to the compiler: `cargo tree -i sqlx` shows which versions you have. sqlx 0.8 on SQLite isn't among
//! them: cargo allows one `libsqlite3-sys` in a program, and each version of sqlx needs another one. In such a program,
//! open the same file with rusqlite for the handlers of tx mode.
//!
//! A connection is refused ([`Error::NotInTransaction`](crate::Error::NotInTransaction)) unless its driver knows that
//! it is in a transaction. sqlx and diesel-async don't know of a transaction that your own SQL text began. rusqlite asks
//! SQLite itself.
//!
//! sqlx and diesel-async give names to the statements that they prepare on PostgreSQL, and PgBouncer's `pool_mode = transaction` mixes
//! these up: a statement can get the answer of another one, and be told that it succeeded. A transaction can't find out
//! whether there is such a pooler. So connect to the server directly, or use tokio-postgres. If a store of this process
//! has found such a pooler, the first transaction of sqlx, diesel-async or sea-orm after that logs a warning, also if it
//! is on another server.
//!
//! The recorded result is a parameter of a statement. sea-orm shows parameters to its metric callback, and logs them
//! with its feature `debug-print`. diesel-async sends statements with tokio-postgres, which logs the parameters of a
//! prepared statement through the crate `log` at the level debug: keep that level off for `tokio_postgres`.
//!
//! # With diesel-async
//!
//! Its transactions begin and end in `connection.transaction(..)`. The handler takes the connection that the closure
//! gets. A pool's connection derefs to it.
#![cfg_attr(feature = "diesel-async", doc = "```no_run")]
#![cfg_attr(not(feature = "diesel-async"), doc = "```ignore")]
//! use diesel::sql_types::{BigInt, Text};
//! use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
//! use idem_runtime::{Error, idempotent};
//!
//! # struct Order { id: String, cents: i64 }
//! # enum BillingError { Database(diesel::result::Error), Idempotency(Error) }
//! # impl From<diesel::result::Error> for BillingError {
//! #     fn from(error: diesel::result::Error) -> Self { Self::Database(error) }
//! # }
//! # impl From<Error> for BillingError { fn from(error: Error) -> Self { Self::Idempotency(error) } }
//! #[idempotent(key = "order.id", tx = "tx", scope = "billing.charge")]
//! async fn charge(tx: &mut AsyncPgConnection, order: &Order) -> Result<i64, BillingError> {
//!     let booked = diesel::sql_query("INSERT INTO charges (order_id, cents) VALUES ($1, $2)");
//!     booked.bind::<Text, _>(&order.id).bind::<BigInt, _>(order.cents).execute(tx).await?;
//!     Ok(order.cents)
//! }
//!
//! async fn handle(connection: &mut AsyncPgConnection, order: &Order) -> Result<i64, BillingError> {
//!     connection.transaction(async |tx| charge(tx, order).await).await
//! }
//! ```
//!
//! - diesel keeps no SQLSTATE of an error. A serialization failure is [`Error::Conflict`](crate::Error::Conflict). A
//!   deadlock, a lock time-out and a missing table aren't told apart: each is [`Error::Store`](crate::Error::Store) with
//!   diesel's own message. That error is retryable too.
//! - `transaction` commits where the closure returns `Ok`. PostgreSQL rolls back instead if a statement had failed, and
//!   diesel then returns `Ok` all the same. A handler that passes over such an error gets
//!   [`Error::NotRecorded`](crate::Error::NotRecorded). A closure that passes over one itself ends with
//!   `tx.batch_execute("SELECT 1").await?`, which fails then.
//! - After a `transaction` whose future was dropped, close the connection. diesel leaves the transaction open and counts
//!   on: the next `transaction` is a savepoint in it, and its `Ok` commits nothing. diesel's pools discard such a
//!   connection.
//!
//! # What it costs
//!
//! A first execution sends two more statements in the transaction: the claim and the record. A duplicate sends one (two
//! on SQLite), which writes nothing. On MySQL and MariaDB the claim is two statements. [`commit`] takes one round trip
//! more than the driver's own `commit` on PostgreSQL, MySQL and MariaDB.
//!
//! # What a duplicate sees
//!
//! | the first transaction | the duplicate |
//! |---|---|
//! | was committed | replays the recorded result |
//! | was rolled back, or its handler returned an `Err` or [`Outcome::Skipped`](crate::Outcome::Skipped), or was cancelled | runs |
//! | is under way | waits for it on PostgreSQL at READ COMMITTED, on MySQL and MariaDB, and on SQLite if the duplicate's transaction wrote or began with `BEGIN IMMEDIATE` before it read. Else it gets [`Error::Conflict`](crate::Error::Conflict): roll back, and run the transaction again |
//!
//! A duplicate leaves the transaction usable.
//!
//! A handler that returns `Outcome::Skipped` leaves the key as it was, and its caller may commit. A key whose holder died
//! in lease mode is still an orphan then. If the transaction had failed before, the handler returns its `Skipped` all the
//! same, and [`commit`] the error.
//!
//! Roll the transaction back after any `Err`, also after the handler's own error, and after a handler that was
//! cancelled or panicked. No claim is left then: if you commit, a redelivery writes again what the handler has written
//! until then. To go on in the same transaction after the handler's own error, make a savepoint before the call, and
//! roll back to it. After [`Error::Conflict`](crate::Error::Conflict), roll the whole transaction back.
//!
//! Put a time-out around the whole transaction, and not around the handler alone. The handler must not send `COMMIT` or
//! `ROLLBACK`: that is left to its caller.
//!
//! A message is not handled before the commit. Acknowledge it by the result of the whole transaction, the commit
//! included. Commit with [`commit`], which returns an error where the database rolled back.
//!
//! # A transaction that has ended unnoticed
//!
//! On MySQL and MariaDB, a deadlock rolls back the *whole* transaction of its victim. What was written before a
//! savepoint is undone too, and so is the savepoint: a rollback to it fails with error 1305,
//! `SAVEPOINT … does not exist`. The driver doesn't notice that the transaction has ended. A statement that the body or
//! its caller sends after that is in no transaction, and is committed at once. A `COMMIT` returns `Ok`. So:
//!
//! - In the body, return the error of a statement that failed, above all that of a deadlock (1213). Don't send the
//!   statement again.
//! - In the caller, roll the whole transaction back then, and run all of it again. Don't ignore an error 1305.
//! - Commit with [`commit`].
//!
//! What the library finds out depends on the database:
//!
//! - MariaDB tells whether a transaction is open. A handler that is called in none gets
//!   [`Error::NotInTransaction`](crate::Error::NotInTransaction). A handler whose transaction has ended when its body
//!   returns gets [`Error::TransactionLost`](crate::Error::TransactionLost). Don't let a redelivery follow that error:
//!   what the handler wrote after the end of its transaction may be committed.
//! - MySQL doesn't tell. There, a handler whose transaction has ended gets
//!   [`Error::NotRecorded`](crate::Error::NotRecorded), and a redelivery can write again what was committed.
//! - MySQL and MariaDB with `autocommit = 0` begin a new transaction with the next statement, so neither can tell. Such
//!   a connection is refused ([`Error::Config`](crate::Error::Config)).
//! - SQLite rolls a transaction back by itself where the disk is full or fails, and at `ON CONFLICT ROLLBACK`. The
//!   library asks SQLite too. sqlx 0.9 doesn't notice such an end, and its own rollback fails then. Its pool's
//!   connection still counts as one in a transaction, so each later `begin_with` on it fails
//!   (`InvalidSavePointStatement`). End such a transaction with [`commit`]: it returns `TransactionLost`, and leaves
//!   the connection in order.
//! - PostgreSQL keeps a transaction in which a statement has failed, refuses each later statement, and rolls back at
//!   the end.
//!
//! # Limits
//!
//! A duplicate waits for as long as the first transaction takes. The database's own setting bounds the wait:
//! `SET LOCAL lock_timeout` on PostgreSQL, `innodb_lock_wait_timeout` on MySQL and MariaDB, and `busy_timeout` on
//! SQLite. When it is over, the duplicate gets [`Error::Conflict`](crate::Error::Conflict).
//!
//! sqlx's MySQL connection is unusable after a call that was dropped while sqlx prepared a statement: the next
//! statement takes the rest of the old answer for its own. So after a time-out, close the connection, for example with
//! the pool's `close_on_drop`.
//!
//! On MySQL and MariaDB, `CREATE TABLE`, `TRUNCATE` and similar statements commit the transaction, and the driver
//! doesn't notice. Each later statement is then committed at once, and no duplicate waits for it. Keep such statements
//! out of the transaction. On MariaDB, a handler that has sent one gets
//! [`Error::TransactionLost`](crate::Error::TransactionLost).
//!
//! At stricter isolation levels than those in the table, a duplicate gets [`Error::Conflict`](crate::Error::Conflict)
//! if the first transaction was committed after its own snapshot was taken. The same holds on MariaDB with
//! `innodb_snapshot_isolation` (the default from 11.6 on) in a transaction that has read before.
//!
//! A record is as durable as a commit. Some servers show a commit to others before it is on their disk. A duplicate can
//! then replay a result which the server loses when it crashes. So does InnoDB without a binary log (MariaDB's default:
//! turn on `log_bin`, with `sync_binlog = 1`), and PostgreSQL with `synchronous_commit = off`.
//!
//! # The table
//!
//! Tx mode uses the same table `idem_keys` as the stores, in the transaction's own database. Create it with the
//! store's `migrate`, or put [`schema`] among your migrations. [`use_table`] gives it another name, in the whole
//! process, and [`schema_named`] returns the SQL for it.
//!
//! Expired rows have to be swept. Open an [`IdempotencyAdmin`](crate::IdempotencyAdmin) of a store on that database: it
//! shows the keys of both modes and sweeps them. It sees the key of a transaction once that is committed, and `forget`
//! and `resolve` may wait for the transaction. Or run `DELETE FROM idem_keys WHERE purge_at < ..` now and then, with
//! the time in microseconds since the Unix epoch.
//!
//! # From lease mode to tx mode
//!
//! Add `tx`, keep the `scope`, and keep the keys in the database of the business rows.
//!
//! - A completed key replays as before. But an error that `on_error` recorded is
//!   [`Error::Decode`](crate::Error::Decode) from then on.
//! - A key that a process of the old version still holds is [`Error::InProgress`](crate::Error::InProgress) until its
//!   lease ends.
//! - A key whose holder died runs again, as with `on_crash = "rerun"`. But a key that was parked, or left for the
//!   function of `on_crash`, stays [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) until it is resolved.
//!
//! Both versions can run at the same time in different processes. In one process, the second one is
//! [`Error::ScopeTaken`](crate::Error::ScopeTaken).

pub(crate) mod call;
mod commit;
mod database;
#[cfg(feature = "diesel-async")]
mod diesel_async;
mod ended;
mod failure;
mod found;
mod named;
#[cfg(feature = "sqlite")]
mod rusqlite;
#[cfg(feature = "sea-orm")]
mod sea_orm;
mod sql;
mod sqlx;
mod statement;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;

use std::future::{Future, ready};

pub use self::commit::{Commit, Committing, commit};
pub use self::database::{Database, schema};
pub use self::failure::Failure;
pub use self::named::{schema_named, use_table};
pub use self::statement::{Column, ColumnKind, Param, Statement, Value};

/// Warns if a pooler in transaction mode was found, which mixes up the prepared statements of drivers that give them
/// names. Only a store on PostgreSQL finds one.
#[cfg(feature = "postgres")]
fn warn_behind_pooler(database: Database) {
    if database == Database::Postgres {
        crate::store::postgres::pooler::warn_transactions();
    }
}

/// A transaction of a driver, for an async handler's `tx`.
///
/// For a handler that takes `tx: &mut X`, implement it for `X`. For one that takes `tx: &X`, implement it for `&X`.
///
/// The library sends at most three statements for a call, one after the other, and neither commits nor rolls back. If
/// the claim is no longer there after the body, the library asks the database whether a transaction is open. On MariaDB
/// it sends a read, on PostgreSQL a savepoint, followed by a read if the savepoint was refused, and on SQLite a `BEGIN`,
/// followed by a `ROLLBACK` if the `BEGIN` succeeded.
///
/// ```
/// use idem_runtime::tx::{Column, ColumnKind, Database, Failure, Statement, Transaction, Value};
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
///     fn is_in_transaction(&mut self) -> bool {
///         true // its type says so
///     }
///
///     async fn query(&mut self, statement: Statement<'_>) -> Result<Option<Vec<Value>>, Failure> {
///         let row = self.0.fetch(statement.sql, statement.params).await.map_err(failed)?;
///         Ok(row.map(|row| {
///             let columns = statement.columns.iter().enumerate();
///             let value = |(nth, column): (usize, &Column)| match column.kind {
///                 ColumnKind::Integer => Value::Integer(row.get_i64(nth)),
///                 ColumnKind::Bytes => Value::Bytes(row.get_bytes(nth)),
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
    note = "known are transactions of sqlx 0.8 and 0.9 and of diesel-async 0.9, taken by `&mut`, and those of rusqlite, \
            tokio-postgres 0.7 and sea-orm 2, taken by `&`: each behind its feature of `idem-runtime`",
    note = "what a pool lends is another type than the connection: give what it derefs to, such as `&mut **connection`",
    note = "the same type of another version is another type: `cargo tree -i sqlx` shows which versions of sqlx you have",
    note = "for another driver, implement `idem_runtime::tx::Transaction`: for `X` where `tx` is a `&mut X`, for `&X` \
            where it is a `&X`"
)]
pub trait Transaction {
    /// The database of the transaction.
    fn database(&self) -> Database;

    /// Whether the driver knows that a transaction is open. If a driver can't tell, implement this trait only for its
    /// type of a transaction, and not for its connection. It takes a `&mut`, because some drivers keep what they know
    /// behind one.
    fn is_in_transaction(&mut self) -> bool;

    /// Runs a statement, and returns its row. It has one row or none.
    ///
    /// # Errors
    ///
    /// What the driver said, with the database's code for it.
    fn query(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<Option<Vec<Value>>, Failure>> + Send;

    /// Runs a statement, and returns the number of rows that it changed.
    ///
    /// # Errors
    ///
    /// What the driver said, with the database's code for it.
    fn execute(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// A transaction of a driver that blocks, for the `tx` of sync and of async handlers. Otherwise as [`Transaction`].
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
    fn is_in_transaction(&mut self) -> bool;

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

    fn is_in_transaction(&mut self) -> bool {
        BlockingTransaction::is_in_transaction(self)
    }

    fn query(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<Option<Vec<Value>>, Failure>> + Send {
        ready(BlockingTransaction::query(self, statement))
    }

    fn execute(&mut self, statement: Statement<'_>) -> impl Future<Output = Result<u64, Failure>> + Send {
        ready(BlockingTransaction::execute(self, statement))
    }
}
