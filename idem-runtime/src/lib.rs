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
pub mod key {
    pub use crate::protocol::key::{IdempotencyKey, KeyInput, KeyWriter, Written, encode};
}
