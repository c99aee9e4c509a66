//! Sync handlers: the same engine, polled by the calling thread. A runtime must not need that thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::error::{Error, StoreError};
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, Key, ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
use crate::store::{IdempotencyAdmin, IdempotencyStore};
use crate::task::sync::task::coop::unconstrained;
use crate::task::sync::task::{JoinError, JoinHandle};
use crate::task::{background, block_on};

/// Runs `work`, which blocks the thread, if that is allowed. It is allowed on a thread without a runtime, on a worker
/// of a multi-thread runtime (the worker first hands its tasks to another thread), and in `spawn_blocking`. If `work`
/// waits for nothing that needs a runtime (`in_place`), it is also allowed on the thread of a current-thread runtime
/// and in a `LocalSet`: the handler's body would block these without this library too.
///
/// # Errors
///
/// [`Error::WouldBlock`] on the thread of a current-thread runtime or in a `LocalSet`. The other tasks there, and
/// perhaps the store's driver, could not run while `work` waits. `work` has not run.
pub(crate) fn enter<T>(scope: &'static str, in_place: bool, work: impl FnOnce() -> T) -> Result<T, Error> {
    block_on::where_allowed(in_place, work).ok_or(Error::WouldBlock { scope })
}

/// A task that is aborted when this is dropped. Without that, it could wait for an answer for ever, and keep a
/// connection that others need.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A store whose operations run on the background runtime, if they need a runtime: the caller's thread may be blocked,
/// and can't poll them then. If they need none, they run outside of Tokio's budget for the task that this thread polls,
/// because nothing refills that budget while the thread waits.
#[derive(Clone)]
pub(crate) struct Spawned<S>(pub(crate) S);

impl<S: IdempotencyStore> Spawned<S> {
    async fn on_runtime<T, F>(&self, operation: impl FnOnce(S) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Some(runtime) = background::handle() else {
            let none = "no thread could be started to reach the store";
            return Err(StoreError::refused("the store", none).in_own_words());
        };
        let task = Task(runtime.spawn(operation(self.0.clone())));
        task.await.unwrap_or_else(|error| Err(StoreError::unanswered("the store", error)))
    }
}

/// Clones what a request borrows, so that it can be sent to another thread.
macro_rules! owned {
    ($request:ident) => {{
        let scope: Box<str> = $request.scope.into();
        let key: Key = $request.key.clone();
        (scope, key)
    }};
}

impl<S: IdempotencyStore> IdempotencyStore for Spawned<S> {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        if !self.0.needs_runtime() {
            return unconstrained(self.0.claim(request)).await;
        }
        let (scope, key) = owned!(request);
        let ClaimRequest { owner, lease, fingerprint, orphans, retain, .. } = request;
        self.on_runtime(move |store| async move {
            store.claim(ClaimRequest { scope: &scope, key: &key, owner, lease, fingerprint, orphans, retain }).await
        })
        .await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        if !self.0.needs_runtime() {
            return unconstrained(self.0.renew(request)).await;
        }
        let (scope, key) = owned!(request);
        let RenewRequest { owner, fence, lease, retain, .. } = request;
        self.on_runtime(move |store| async move {
            store.renew(RenewRequest { scope: &scope, key: &key, owner, fence, lease, retain }).await
        })
        .await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        if !self.0.needs_runtime() {
            return unconstrained(self.0.complete(request)).await;
        }
        let (scope, key) = owned!(request);
        let record = request.record.clone();
        let CompleteRequest { owner, fence, ttl, linger, .. } = request;
        self.on_runtime(move |store| async move {
            let request = CompleteRequest { scope: &scope, key: &key, owner, fence, record: &record, ttl, linger };
            store.complete(request).await
        })
        .await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        if !self.0.needs_runtime() {
            return unconstrained(self.0.release(request)).await;
        }
        let (scope, key) = owned!(request);
        let ReleaseRequest { owner, fence, how, retain, linger, .. } = request;
        self.on_runtime(move |store| async move {
            store.release(ReleaseRequest { scope: &scope, key: &key, owner, fence, how, retain, linger }).await
        })
        .await
    }

    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        if !self.0.needs_runtime() {
            return unconstrained(self.0.wait(request)).await;
        }
        let (scope, key) = owned!(request);
        let WaitRequest { at_most, round, .. } = request;
        self.on_runtime(move |store| async move {
            store.wait(WaitRequest { scope: &scope, key: &key, at_most, round }).await
        })
        .await
    }

    fn completed(&self, request: &ClaimRequest<'_>) -> Option<Completed> {
        self.0.completed(request)
    }

    fn max_record_len(&self) -> usize {
        self.0.max_record_len()
    }

    fn needs_runtime(&self) -> bool {
        self.0.needs_runtime()
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.0.admin()
    }
}
