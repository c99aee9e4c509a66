//! Idempotent handlers by business key.
//!
//! Message systems deliver each message at least once. A message id doesn't reveal a duplicate, because a producer that
//! sends an order again after a time-out gives it a new id. So the handler has to recognise the message by its
//! *business key*. One attribute does that:
//!
//! ```
//! use idem_runtime::{Error, MemoryStore, idempotent};
//!
//! #[idempotent(key = "order_id")]
//! async fn charge(order_id: &str, cents: u64) -> Result<String, Error> {
//!     Ok(format!("charged {cents} for {order_id}"))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Error> {
//! idem_runtime::install(MemoryStore::new())?;
//! let first = charge("order-1", 500).await?;
//! let again = charge("order-1", 500).await?; // delivered again: replayed, not run
//! assert_eq!(first, again);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![cfg_attr(docsrs, feature(doc_cfg))]

// The code that the macro generates names this crate by its public name, also in this crate's own tests.
#[allow(unused_extern_crates, reason = "the tests of this crate annotate handlers")]
extern crate self as idem_runtime;

mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod engine;
mod error;
mod handler;
#[doc(hidden)]
pub mod private;
pub mod protocol;
pub mod store;
#[cfg(idem_shuttle)]
#[path = "../../tests/shuttle/src/subjects.rs"]
pub mod subjects;
mod task;
pub mod testing;
pub mod tx;

pub use idem_macros::idempotent;
///
/// ```
/// use idem_runtime::{Error, MemoryStore, run_once};
///
/// # struct Order { id: String, cents: u64 }
/// # fn parse(text: &str) -> Result<Order, Box<dyn std::error::Error>> { Ok(Order { id: text.to_owned(), cents: 5 }) }
/// # async fn charge(order: &Order) -> Result<u64, Error> { Ok(order.cents) }
/// async fn consume(delivery: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let order = parse(delivery)?;
///     let charged = run_once!(key = order.id, fingerprint = order.cents, scope = "orders/charge", async {
///         charge(&order).await
///     })
///     .await?;
///     println!("{} is charged {charged}", order.id);
///     Ok(()) // acknowledge it here, for each delivery
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// idem_runtime::install(MemoryStore::new())?;
/// consume("order-1").await?;
/// consume("order-1").await?; // delivered again: the block doesn't run, and `charged` is its recorded result
/// # Ok(())
/// # }
/// ```
///
/// The arguments are those of [`idempotent`](macro@idempotent#arguments), with three differences. Their expressions see each
/// variable in scope. `scope` is required. `tx` is a reference expression (see [below](#in-a-transaction)). The costs and errors are
/// the same too: a first run costs two round trips, and a duplicate costs one.
///
/// # The block
///
/// The last argument is what runs once.
///
/// | form | the macro is |
/// |---|---|
/// | `async { .. }`, `async move { .. }` | a future of the block's result |
/// | `async \|\| -> Result<T, E> { .. }`, `async move \|\| -> Result<T, E> { .. }` | the same, with its type written out |
/// | `\|\| { .. }`, `\|\| -> Result<T, E> { .. }`, each also with `move` | the result, as of a sync handler |
///
/// Where the block holds `?` or `Ok(..)`, the compiler often can't infer the type of its error (E0282, "type annotations needed").
/// Write the type out then:
///
/// ```
/// # use idem_runtime::{Error, run_once};
/// # struct Order { id: String, cents: String }
/// # async fn charge(id: &str, cents: u64) -> Result<u64, Error> { Ok(cents) }
/// type Failure = Box<dyn std::error::Error + Send + Sync>;
///
/// # async fn handle(order: Order) -> Result<u64, Failure> {
/// let charged = run_once!(key = order.id, scope = "docs/typed", async || -> Result<u64, Failure> {
///     let cents = order.cents.parse()?;
///     Ok(charge(&order.id, cents).await?)
/// })
/// .await?;
/// # Ok(charged)
/// # }
/// ```
///
/// The block captures variables as each async block or closure does: by reference where it only reads them, unless it is `move`.
/// `?` and `return` end the block, and not the function. A `break` or `continue` of a loop around it is an error.
///
/// The key, the fingerprint, the store and the transaction's reference are computed where the macro stands, before its future is
/// made. The future keeps no borrow of what only these expressions name. Nothing is claimed before the future is polled. With the
/// installed store or the one of [`with_store`], that is the store at this place, even if the future is polled in another task.
///
/// # The scope
///
/// A scope belongs to one place in the source: a second place with the same scope is refused (`Error::ScopeTaken`). One `run_once!`
/// is one place, also in a loop, and in a generic function for all of its types. The scope is a string literal or the path of a
/// `const`, which can't depend on the function's type parameters.
///
/// # In a transaction
///
/// `tx` is a reference to the variable or field that is the transaction, written as such: `&mut tx`, `&mut self.tx`, `&mut *c` where
/// `c` is a reference itself, or `&tx` for a driver whose transactions are used by `&` (see [`tx`]).
///
/// ```
/// # type Failure = Box<dyn std::error::Error + Send + Sync>;
/// # #[cfg(feature = "sqlite")]
/// # fn main() -> Result<(), Failure> {
/// # use idem_runtime::{run_once, tx::{Database, schema}};
/// # let mut connection = rusqlite::Connection::open_in_memory()?;
/// # connection.execute_batch(schema(Database::Sqlite))?;
/// # connection.execute_batch("CREATE TABLE entries (id, cents)")?;
/// # let (id, cents) = ("order-1", 500);
/// let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
/// let entry = run_once!(tx = &tx, key = id, scope = "ledger/book", || -> Result<i64, Failure> {
///     tx.execute("INSERT INTO entries VALUES (?1, ?2)", (id, cents))?;
///     Ok(tx.last_insert_rowid())
/// });
/// assert_eq!(entry?, 1);
/// idem_runtime::tx::commit(tx)?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
///
/// The block uses the same variable. It can't be `move` then, as the result is written through the transaction when the block has
/// ended.
pub use idem_macros::run_once;

pub use self::error::{DecodeError, Error, ScopedKey, StoreError, log_keys};
pub use self::handler::output::{HandlerOutput, Outcome};
pub use self::handler::policy::OnError;
pub use self::handler::{Claim, consumer, output};
pub use self::protocol::key::IdempotencyKey;
pub use self::protocol::values::Previous;
pub use self::store::connect::connect;
pub use self::store::install::{carry, install, with_store};
#[cfg(feature = "memory")]
pub use self::store::memory::MemoryStore;
#[cfg(feature = "mysql")]
pub use self::store::mysql::MySqlStore;
#[cfg(feature = "postgres")]
pub use self::store::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use self::store::redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use self::store::sqlite::SqliteStore;
pub use self::store::{AnyStore, IdempotencyAdmin, IdempotencyStore};
pub use self::task::drain::{drain, drain_blocking};

/// What an operator can do with a store: look at keys, resolve them, forget them, and sweep expired rows.
pub mod admin {
    pub use crate::store::admin::{AdminFuture, Entry, Filter, IdempotencyAdmin, Resolution, Stats};
    pub use crate::store::connect::connect_operator as connect;
}

/// How a value becomes an encoded key.
///
/// A single value is encoded as its text, so `42_u32`, `42_u64` and `"42"` are the same key. In a composite key, a unit
/// separator (0x1F) stands before each part, so `("a/b", "c")` is not `("a", "b/c")`. An escape (0x1B) stands before
/// text that itself holds a separator or that would read as a composite key. So two different keys never have the same
/// encoding.
///
/// [`digest`](key::digest) makes a key of the fields of a request that has no id.
pub mod key {
    pub use crate::codec::fingerprint::digest;
    pub use crate::protocol::key::{IdempotencyKey, KeyInput, KeyWriter, Written, encode};
}
