//! The process-wide default store, and its override for one task.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::error::Error;
use crate::store::{AnyStore, IdempotencyStore};

static INSTALLED: OnceCell<AnyStore> = OnceCell::new();

tokio::task_local! {
    /// `None` if [`carry`] was called outside of any [`with_store`].
    static OVERRIDE: Option<AnyStore>;
}

/// Sets the default store of the process: each handler without the argument `store` uses it. Call it once, at start.
///
/// # Errors
///
/// [`Error::Config`] if a store is installed already: with two default stores, each part of the program would see only
/// its own keys.
pub fn install(store: impl IdempotencyStore) -> Result<(), Error> {
    INSTALLED.set(AnyStore::new(store)).map_err(|_| {
        Error::config(
            "a store is installed already: call `install` once, at start; for one task, use `with_store(store, future)`",
        )
    })
}

/// Runs `future` with another default store, for example in a test or for a tenant.
///
/// A task or a thread that `future` spawns doesn't see this store. A handler there uses the installed store, or returns
/// [`Error::NoStore`] if none is installed, as in most tests. [`carry`] passes the store on to a spawned task.
///
/// ```
/// # use idem_runtime::{Error, MemoryStore, idempotent, with_store};
/// # #[idempotent(key = "id")]
/// # async fn handle(id: u32) -> Result<u32, Error> { Ok(id) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let answer = with_store(MemoryStore::new(), handle(1)).await?;
/// # assert_eq!(answer, 1);
/// # Ok(())
/// # }
/// ```
pub async fn with_store<F: Future>(store: impl IdempotencyStore, future: F) -> F::Output {
    OVERRIDE.scope(Some(AnyStore::new(store)), future).await
}

/// Returns a future that runs `future` with the current default store of the caller of `carry`: the store of the
/// [`with_store`] around that call, or else the installed one. Use it with `tokio::spawn` and `JoinSet::spawn`.
///
/// It costs a clone of an `Arc`, and makes the future larger by one `Arc`. It passes on no other task-local.
///
/// ```
/// use idem_runtime::{Error, MemoryStore, carry, idempotent, with_store};
/// use tokio::task::JoinSet;
///
/// #[idempotent(key = "id")]
/// async fn handle(id: u32) -> Result<u32, Error> {
///     Ok(id)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// with_store(MemoryStore::new(), async {
///     let mut tasks = JoinSet::new();
///     tasks.spawn(carry(handle(1)));
///     tasks.spawn(handle(2));
///     let answers = tasks.join_all().await;
///     assert!(answers.iter().any(|answer| matches!(answer, Ok(1))));
///     assert!(answers.iter().any(|answer| matches!(answer, Err(Error::NoStore { .. }))));
/// })
/// .await;
/// # }
/// ```
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    OVERRIDE.scope(overridden(), future)
}

/// The answer of `ask` about the store of a handler that names none. `ask` may call the store, and nothing else: the
/// task's default store can't be set meanwhile.
pub(crate) fn with_current<T>(ask: impl Fn(&AnyStore) -> T) -> Option<T> {
    let overridden = OVERRIDE.try_with(|store| store.as_ref().map(&ask));
    overridden.ok().flatten().or_else(|| INSTALLED.get().map(ask))
}

fn overridden() -> Option<AnyStore> {
    OVERRIDE.try_with(Option::clone).ok().flatten()
}
