//! This library, through its attribute.

use idem_runtime::{AnyStore, MemoryStore, idempotent};

use crate::handler::{Async, Protected, Receipt, Refused, Sync_, charge};

/// Over a `MemoryStore` that the compiler knows.
#[derive(Clone)]
pub struct Ours(MemoryStore);

impl Protected for Ours {
    fn fresh() -> Self {
        Self(MemoryStore::new())
    }
}

impl Async for Ours {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        #[idempotent(key = "order_id", store = "store", scope = "async")]
        async fn handle(store: &MemoryStore, order_id: &str) -> Result<Receipt, Refused> {
            charge(order_id)
        }
        handle(&self.0, order_id).await
    }
}

impl Sync_ for Ours {
    fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        #[idempotent(key = "order_id", store = "store", scope = "sync")]
        fn handle(store: &MemoryStore, order_id: &str) -> Result<Receipt, Refused> {
            charge(order_id)
        }
        handle(&self.0, order_id)
    }
}

/// Over a `MemoryStore` behind an `AnyStore`, as `connect` gives one.
#[derive(Clone)]
pub struct Erased(AnyStore);

impl Protected for Erased {
    fn fresh() -> Self {
        Self(AnyStore::new(MemoryStore::new()))
    }
}

impl Async for Erased {
    async fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        #[idempotent(key = "order_id", store = "store", scope = "erased async")]
        async fn handle(store: &AnyStore, order_id: &str) -> Result<Receipt, Refused> {
            charge(order_id)
        }
        handle(&self.0, order_id).await
    }
}

impl Sync_ for Erased {
    fn call(&self, order_id: &str) -> Result<Receipt, Refused> {
        #[idempotent(key = "order_id", store = "store", scope = "erased sync")]
        fn handle(store: &AnyStore, order_id: &str) -> Result<Receipt, Refused> {
            charge(order_id)
        }
        handle(&self.0, order_id)
    }
}
