//! The in-memory store.
use crate::claim::*;
use crate::error::StoreError;
use crate::store::IdempotencyStore;

/// A store in this process's memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(());
impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self(())
    }
}
impl IdempotencyStore for MemoryStore {
    async fn claim(&self, _: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        Ok(ClaimAnswer::Ended)
    }
    async fn renew(&self, _: RenewRequest<'_>) -> Result<Standing, StoreError> {
        Ok(Standing::Lost)
    }
    async fn complete(&self, _: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        Ok(Standing::Lost)
    }
    async fn release(&self, _: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        Ok(Standing::Lost)
    }
}
