//! A store without fencing, as some libraries have it: anyone who renews, completes or releases a key counts as its holder.

use idem_runtime::protocol::Row;
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyAdmin, Key, Leave, ReleaseRequest, RenewRequest, Standing,
    StoreError,
};
use idem_runtime::{AnyStore, IdempotencyStore};
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Unfenced(pub(crate) AnyStore);

impl Unfenced {
    async fn holder(&self, scope: &str, key: &Key) -> Result<Option<Row>, StoreError> {
        let found = self.0.admin().expect("every store here has one").get(scope, key).await?;
        Ok(found.map(|(entry, _)| entry.row))
    }
}

impl IdempotencyStore for Unfenced {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.0.claim(request).await
    }

    async fn renew(&self, mut request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        if let Some(row) = self.holder(request.scope, request.key).await? {
            (request.owner, request.fence) = (row.owner, row.fence);
        }
        self.0.renew(request).await
    }

    async fn complete(&self, mut request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        if let Some(row) = self.holder(request.scope, request.key).await? {
            (request.owner, request.fence) = (row.owner, row.fence);
        }
        self.0.complete(request).await
    }

    async fn release(&self, mut request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        if request.how != Leave::NotRun
            && let Some(row) = self.holder(request.scope, request.key).await?
        {
            (request.owner, request.fence) = (row.owner, row.fence);
        }
        self.0.release(request).await
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        self.0.admin()
    }
}
