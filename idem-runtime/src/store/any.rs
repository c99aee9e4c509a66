//! The type-erased store.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::StoreError;
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, ReleaseRequest, RenewRequest, Standing, WaitRequest,
};
use crate::store::{IdempotencyAdmin, IdempotencyStore};

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Any store, behind one type: what [`connect`](crate::connect) opens and [`install`](crate::install) keeps.
///
/// Each operation costs one more allocation, except a replay from a store that has the record at hand.
///
/// ```
/// use idem_runtime::{AnyStore, MemoryStore};
///
/// let store = AnyStore::new(MemoryStore::new());
/// assert!(store.admin().is_some());
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn DynStore>);

impl AnyStore {
    /// Erases the type of a store. An `AnyStore` is not wrapped again.
    pub fn new(store: impl IdempotencyStore) -> Self {
        let any: &dyn Any = &store;
        match any.downcast_ref::<Self>() {
            Some(erased) => erased.clone(),
            None => Self(Arc::new(store)),
        }
    }

    /// The operator's interface to this store. Each store that [`connect`](crate::connect) opens has one.
    pub fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.0.dyn_admin()
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyStore({})", self.0.type_name())
    }
}

trait DynStore: Send + Sync {
    fn dyn_claim<'a>(&'a self, request: ClaimRequest<'a>) -> Answer<'a, ClaimAnswer>;
    fn dyn_renew<'a>(&'a self, request: RenewRequest<'a>) -> Answer<'a, Standing>;
    fn dyn_complete<'a>(&'a self, request: CompleteRequest<'a>) -> Answer<'a, Standing>;
    fn dyn_release<'a>(&'a self, request: ReleaseRequest<'a>) -> Answer<'a, Standing>;
    fn dyn_wait<'a>(&'a self, request: WaitRequest<'a>) -> Answer<'a, ()>;
    fn dyn_completed(&self, request: &ClaimRequest<'_>) -> Option<Completed>;
    fn dyn_max_record_len(&self) -> usize;
    fn dyn_needs_runtime(&self) -> bool;
    fn dyn_admin(&self) -> Option<Arc<dyn IdempotencyAdmin>>;
    fn type_name(&self) -> &'static str;
}

impl<S: IdempotencyStore> DynStore for S {
    fn dyn_claim<'a>(&'a self, request: ClaimRequest<'a>) -> Answer<'a, ClaimAnswer> {
        Box::pin(self.claim(request))
    }

    fn dyn_renew<'a>(&'a self, request: RenewRequest<'a>) -> Answer<'a, Standing> {
        Box::pin(self.renew(request))
    }

    fn dyn_complete<'a>(&'a self, request: CompleteRequest<'a>) -> Answer<'a, Standing> {
        Box::pin(self.complete(request))
    }

    fn dyn_release<'a>(&'a self, request: ReleaseRequest<'a>) -> Answer<'a, Standing> {
        Box::pin(self.release(request))
    }

    fn dyn_wait<'a>(&'a self, request: WaitRequest<'a>) -> Answer<'a, ()> {
        Box::pin(self.wait(request))
    }

    fn dyn_completed(&self, request: &ClaimRequest<'_>) -> Option<Completed> {
        self.completed(request)
    }

    fn dyn_max_record_len(&self) -> usize {
        self.max_record_len()
    }

    fn dyn_needs_runtime(&self) -> bool {
        self.needs_runtime()
    }

    fn dyn_admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.admin()
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<S>()
    }
}

impl IdempotencyStore for AnyStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.0.dyn_claim(request).await
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        self.0.dyn_renew(request).await
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        self.0.dyn_complete(request).await
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        self.0.dyn_release(request).await
    }

    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        self.0.dyn_wait(request).await
    }

    fn completed(&self, request: &ClaimRequest<'_>) -> Option<Completed> {
        self.0.dyn_completed(request)
    }

    fn max_record_len(&self) -> usize {
        self.0.dyn_max_record_len()
    }

    fn needs_runtime(&self) -> bool {
        self.0.dyn_needs_runtime()
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.0.dyn_admin()
    }
}
