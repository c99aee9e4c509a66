//! The process-wide default store, and its override for one task.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::error::Error;
use crate::store::{AnyStore, IdempotencyStore};

static INSTALLED: OnceCell<AnyStore> = OnceCell::new();

tokio::task_local! {
    static OVERRIDE: AnyStore;
}

/// Sets the store of every handler that names none. Call it once, at start.
///
/// # Errors
///
/// [`Error::Config`] if a store was installed before: two parts of a program that disagree about it would each see half
/// of the keys.
pub fn install(store: impl IdempotencyStore) -> Result<(), Error> {
    INSTALLED.set(AnyStore::new(store)).map_err(|_| {
        Error::config(
            "a store is installed already: call `install` once, at start; for one task, use `with_store(store, future)`",
        )
    })
}

/// Runs `future` with another default store: for a test, or a tenant. Handlers in tasks that it spawns see the
/// installed one.
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
    OVERRIDE.scope(AnyStore::new(store), future).await
}

/// The store of a handler that names none.
pub(crate) fn current() -> Option<AnyStore> {
    OVERRIDE.try_with(AnyStore::clone).ok().or_else(|| INSTALLED.get().cloned())
}
