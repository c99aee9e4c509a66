//! The trait that every store implements, its requests and answers, and the stores of this crate.
//!
//! # A store of one's own
//!
//! Implement the four methods as plain `async fn`s. The state machine is [`protocol::step`](crate::protocol::step):
//! lock and read the row, call `step`, and write the row that it returns. Then run the conformance suite
//! (`idem_runtime::conformance`, behind the feature of that name) on the store.

// Of the other rooms, this one may import `protocol`, `codec`, `task` and `error`, and never the engine
// (ARCHITECTURE.md, "Floors").

pub(crate) mod admin;
mod any;
pub(crate) mod clock;
pub(crate) mod connect;
pub(crate) mod install;
#[cfg(feature = "memory")]
pub(crate) mod memory;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod notifiers;
pub(crate) mod numbers;
mod owner;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod sql;
#[cfg(idem_shuttle)]
#[path = "../../tests/shuttle/src/sql.rs"]
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
pub(crate) mod table;
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
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, Leave, Orphans, ReleaseRequest, RenewRequest, Standing,
    WaitRequest,
};
pub use crate::protocol::values::{Fingerprint, Grant, Owner, Previous, Record};

/// Every type implements it. As a bound of [`IdempotencyStore`] it makes the compiler's one error about `dyn
/// IdempotencyStore` show what to use instead.
#[doc(hidden)]
pub trait UseAnyStore<S: ?Sized> {}

impl<S: ?Sized> UseAnyStore<S> for S {}

/// A store of idempotency keys and their records.
///
/// Each of the four required methods is one atomic step and one round trip. [`protocol::step`](crate::protocol::step)
/// is the executable specification of what each does to a row.
///
/// Every decision uses the store's own clock. A lease ends early by as much as that clock steps ahead, so a store's
/// documentation has to say whose clock it uses.
///
/// A caller may repeat each request after a lost answer.
///
/// A store doesn't repeat a claim by itself. It answers [`StoreError::unanswered`], and the engine repeats the claim,
/// because the engine keeps track of copies that may still be under way. A store may repeat any other request by
/// itself, with the same owner and fence.
///
/// A handle has to be cheap to clone: the engine clones it for each call that claims, so that a call that is dropped can
/// still release its key.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an idempotency store",
    label = "neither this type nor what it derefs to implements `IdempotencyStore`",
    note = "for a store of any kind, use `AnyStore` in place of `dyn IdempotencyStore`",
    note = "give `store` a `MemoryStore`, a `SqliteStore`, an `AnyStore` or a type of your own that implements \
            `idem_runtime::IdempotencyStore`, or anything that derefs to one"
)]
pub trait IdempotencyStore:
    UseAnyStore<Self> // in place of `dyn IdempotencyStore`, use `AnyStore`
    + Clone
    + Send
    + Sync
    + 'static
{
    /// Claims a key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known. The caller then assumes that the key may have been granted, and
    /// releases it with [`Leave::NotRun`].
    fn claim(&self, request: ClaimRequest<'_>) -> impl Future<Output = Result<ClaimAnswer, StoreError>> + Send;

    /// Renews a lease.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the outcome is not known. The handler goes on: only [`Standing::Lost`] and [`Standing::Gone`]
    /// end it.
    fn renew(&self, request: RenewRequest<'_>) -> impl Future<Output = Result<Standing, StoreError>> + Send;

    /// Records the result of a key. The record has to be as durable as the store promises before the method returns
    /// [`Standing::Held`], because the caller then acknowledges its message.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say.
    fn complete(&self, request: CompleteRequest<'_>) -> impl Future<Output = Result<Standing, StoreError>> + Send;

    /// Releases a key without a record.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store can't say.
    fn release(&self, request: ReleaseRequest<'_>) -> impl Future<Output = Result<Standing, StoreError>> + Send;

    /// Returns when the key may have been completed or released, and at the latest after `request.at_most`. It may
    /// return too early: the caller claims again.
    ///
    /// The default method sleeps for 5 ms to 250 ms, longer with each round. A store that is notified of endings can
    /// return sooner.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store can't wait. The caller then sleeps instead.
    fn wait(&self, request: WaitRequest<'_>) -> impl Future<Output = Result<(), StoreError>> + Send {
        let pause = Duration::from_millis(5 << request.round.min(6)).min(Duration::from_millis(250));
        let pause = pause.min(request.at_most);
        async move {
            timer::sleep(pause).await;
            Ok(())
        }
    }

    /// The record of a completed key, if the store can answer at once: without waiting, and without a round trip.
    ///
    /// The engine asks this before it claims. At `Some` it replays the record and sends no claim, so `Some` is only for a
    /// request to which [`IdempotencyStore::claim`] would answer [`ClaimAnswer::Completed`], with this record. The
    /// request's owner is not drawn yet, and has no meaning.
    ///
    /// `None` says nothing about the key: the engine then claims. The default method returns it.
    fn completed(&self, request: &ClaimRequest<'_>) -> Option<Completed> {
        let _ = request;
        None
    }

    /// The largest record that [`IdempotencyStore::complete`] takes, in bytes. The engine doesn't send a larger one: it
    /// completes the key without a record, and a duplicate gets
    /// [`Error::ResultUnavailable`](crate::Error::ResultUnavailable).
    fn max_record_len(&self) -> usize {
        16 * 1024 * 1024
    }

    /// Whether a Tokio runtime has to poll the store's futures, because the store's driver does its input and output
    /// there.
    ///
    /// If `true`, a background runtime of this library polls renewals and the requests of sync handlers. It has a
    /// single thread for all stores. It may also poll the release or the completion of a caller that was dropped. So
    /// these futures must not block the thread, must not use `block_in_place`, and don't see the caller's task-locals.
    ///
    /// If `false`, the caller's thread polls them in place. This can be a sync handler on the own thread of a
    /// current-thread runtime, so a future must not wait for another task of that runtime.
    fn needs_runtime(&self) -> bool {
        true
    }

    /// The operator's interface to this store, if it has one.
    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        None
    }
}
