//! The Redis store.

use crate::error::{Error, StoreError};
use crate::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, IdempotencyStore, ReleaseRequest, RenewRequest, Standing,
};

/// A store in Redis.
#[derive(Clone, Debug)]
pub struct RedisStore(());

impl RedisStore {
    /// Opens the store.
    pub async fn open(_url: &str) -> Result<Self, Error> {
        todo!()
    }
}

impl IdempotencyStore for RedisStore {
    async fn claim(&self, _request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        todo!()
    }
    async fn renew(&self, _request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        todo!()
    }
    async fn complete(&self, _request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        todo!()
    }
    async fn release(&self, _request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        todo!()
    }
}
