//! Idempotent handlers by business key.
//!
//! Message systems deliver at least once, and message ids don't reveal a duplicate: a producer that sends an order again
//! after a time-out gives it a new id. So a handler has to recognise the *business key*. One attribute does it:
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

// The macro's output names this crate as its users do.
#[allow(unused_extern_crates, reason = "the tests of this crate annotate handlers")]
extern crate self as idem_runtime;

pub mod admin;
mod background;
mod blocking;
mod claim;
mod clock;
mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod connect;
pub mod consumer;
mod drain;
mod engine;
mod error;
mod fingerprint;
mod handle;
mod heartbeat;
mod install;
pub mod key;
mod observe;
pub mod output;
mod owner;
mod policy;
#[doc(hidden)]
pub mod private;
pub mod protocol;
mod quiet;
mod record;
mod recording;
mod shown;
mod site;
pub mod store;
pub mod testing;
mod timer;
pub mod tx;
mod watch;

pub use idem_macros::idempotent;

pub use self::admin::IdempotencyAdmin;
pub use self::claim::Previous;
pub use self::connect::connect;
pub use self::drain::{drain, drain_blocking};
pub use self::error::{DecodeError, Error, ScopedKey, StoreError};
pub use self::handle::Claim;
pub use self::install::{carry, install, with_store};
pub use self::key::IdempotencyKey;
pub use self::output::{HandlerOutput, Outcome};
pub use self::policy::OnError;
pub use self::shown::log_keys;
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
pub use self::store::{AnyStore, IdempotencyStore};

/// The README's examples compile.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The book's first page, which compiles and runs.
#[cfg(all(doctest, feature = "memory", feature = "sqlite"))]
#[doc = include_str!("../../docs/src/start.md")]
struct Start;

/// The book's page on tests, which compiles and runs.
#[cfg(all(doctest, feature = "memory"))]
#[doc = include_str!("../../docs/src/testing.md")]
struct Testing;

/// The book's page on tx mode, which compiles and runs.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../docs/src/tx.md")]
struct Tx;
