//! What a store is: the trait that every store implements, and the words it is spoken to with.
//!
//! # A store of one's own
//!
//! Implement the four methods as plain `async fn`s. The state machine is [`protocol::step`](crate::protocol::step): find
//! the row, call it while nobody else can write that row, write what it says. Then run the conformance suite
//! (`idem_runtime::conformance`, behind the feature of that name) on it.

pub(crate) mod admin;
mod any;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod bell;
pub(crate) mod clock;
pub(crate) mod connect;
pub(crate) mod install;
#[cfg(feature = "memory")]
pub(crate) mod memory;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
pub(crate) mod numbers;
mod owner;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis"))]
mod tls;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod url;

use std::sync::Arc;
use std::time::Duration;

use crate::task::timer;

pub use self::admin::IdempotencyAdmin;
pub use self::any::AnyStore;
#[cfg(feature = "mysql")]
pub use self::mysql::MySqlOptions;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresOptions;
#[cfg(feature = "redis")]
pub use self::redis::RedisOptions;
#[cfg(feature = "sqlite")]
pub use self::sqlite::{Durability, SqliteMode, SqliteOptions};
pub use crate::error::StoreError;
pub use crate::protocol::key::Key;
pub use crate::protocol::request::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Leave, Orphans, ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
pub use crate::protocol::values::{Fingerprint, Grant, Owner, Previous, Record};

/// Where keys are kept.
///
/// Each of the four required methods is one atomic step, one round trip, and decides by the store's own clock: leases hold
/// within what that steps ahead, so say in a store's documentation whose clock it is. Each can be repeated after a lost answer. What each does to a row is said, executably, by
/// [`protocol::step`](crate::protocol::step).
///
/// A store doesn't repeat a claim by itself: it answers [`StoreError::unanswered`], and the engine repeats it, and knows
/// that a copy may still be under way. Other requests it may repeat, with the same owner and fence.
///
/// A handle is cheap to clone: the engine clones it for each call, so that a call that is dropped can still leave its
/// key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an idempotency store",
    label = "neither this type nor what it derefs to implements `IdempotencyStore`",
    note = "for a store of any kind, use `AnyStore` in place of `dyn IdempotencyStore`",
    note = "give `store` a `MemoryStore`, a `SqliteStore`, an `AnyStore` or a type of your own that implements \
            `idem_runtime::IdempotencyStore`, or anything that derefs to one"
)]
pub trait IdempotencyStore:
    Clone // in place of `dyn IdempotencyStore`, use `AnyStore`
    + Send
    + Sync
    + 'static
{
    /// Asks for a key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say. The caller then assumes that it may have been granted the key, and
    /// leaves it with [`Leave::NotRun`].
    fn claim(&self, request: ClaimRequest<'_>) -> impl Future<Output = Result<ClaimAnswer, StoreError>> + Send;

    /// Holds a key for longer.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say: only [`Standing::Lost`] and [`Standing::Gone`] end a handler.
    fn renew(&self, request: RenewRequest<'_>) -> impl Future<Output = Result<Standing, StoreError>> + Send;

    /// Records the outcome of a key, durably as far as the store promises durability: when it answers
    /// [`Standing::Held`], the caller acknowledges its message.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say.
    fn complete(&self, request: CompleteRequest<'_>) -> impl Future<Output = Result<Standing, StoreError>> + Send;

    /// Leaves a key without completing it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say.
    fn release(&self, request: ReleaseRequest<'_>) -> impl Future<Output = Result<Standing, StoreError>> + Send;

    /// Returns when the key may have changed hands, and after `request.at_most` at the latest. Too early is fine: the
    /// caller claims again.
    ///
    /// The default sleeps, from 5 ms to 250 ms, longer with each round. A store that can be told of an ending does
    /// better.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say; the caller then falls back on sleeping.
    fn wait(&self, request: WaitRequest<'_>) -> impl Future<Output = Result<(), StoreError>> + Send {
        let pause = Duration::from_millis(5 << request.round.min(6)).min(Duration::from_millis(250));
        let pause = pause.min(request.at_most);
        async move {
            timer::sleep(pause).await;
            Ok(())
        }
    }

    /// The largest record that [`IdempotencyStore::complete`] takes, in bytes. A larger result is not sent: the key is
    /// completed without it, and a duplicate gets [`Error::ResultUnavailable`](crate::Error::ResultUnavailable).
    fn max_record_len(&self) -> usize {
        16 * 1024 * 1024
    }

    /// Whether the store's futures have to be polled by a Tokio runtime, because its driver's input and output live
    /// there. Renewals and the requests of sync handlers are then polled by a runtime of this library's, with a single
    /// thread for all stores, and so may be an ending whose caller has gone: they must not block it, nor use
    /// `block_in_place`, and find no task-locals of the caller. Where they needn't, they are polled in place, for a sync handler
    /// on a current-thread runtime's own thread too: none may wait for what another task of that runtime does.
    fn needs_runtime(&self) -> bool {
        true
    }

    /// What an operator can do with this store, if anything.
    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        None
    }
}
