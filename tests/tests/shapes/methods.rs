//! Methods, with every kind of receiver.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use idem_runtime::{Error, MemoryStore, idempotent};
use serde::{Deserialize, Serialize};

use super::{Handled, assert_send, pause, with_memory};

#[derive(Clone)]
pub(super) struct Handler {
    pub(super) store: MemoryStore,
    pub(super) fee: u64,
}

impl Handler {
    #[idempotent(key = "id", scope = "methods/by-value", store = "self.store")]
    pub(super) async fn by_value(self, id: u64) -> Handled<u64> {
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/by-mutable-value", store = self.store)]
    pub(super) async fn by_mutable_value(mut self, id: u64) -> Handled<u64> {
        self.fee += id;
        pause().await;
        Ok(self.fee)
    }

    #[idempotent(key = "id, self.fee", scope = "methods/by-reference", store = self.store)]
    pub(super) async fn by_reference(&self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee + id)
    }

    #[idempotent(key = "id, self.fee", scope = "methods/by-mutable-reference", store = self.store())]
    pub(super) async fn by_mutable_reference(&mut self, id: u64) -> Handled<u64> {
        self.fee += id;
        pause().await;
        Ok(self.fee)
    }

    #[idempotent(key = "id", scope = "methods/boxed", store = self.store)]
    pub(super) async fn boxed(self: Box<Self>, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/rc", store = self.store)]
    pub(super) async fn rc(self: Rc<Self>, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/arc", store = self.store)]
    pub(super) async fn arc(self: Arc<Self>, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/pinned", store = self.store)]
    pub(super) async fn pinned(self: Pin<&mut Self>, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/arc-reference", store = self.store)]
    pub(super) async fn arc_reference(self: &Arc<Self>, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/blocking", store = self.store)]
    pub(super) fn blocking(&self, id: u64) -> Handled<u64> {
        Ok(self.fee + id)
    }

    #[idempotent(key = "id", scope = "methods/blocking-mutable", store = self.store)]
    pub(super) fn blocking_mutable(&mut self, id: u64) -> Handled<u64> {
        self.fee += id;
        Ok(self.fee)
    }

    #[idempotent(key = "id", scope = "methods/blocking-by-value", store = self.store)]
    pub(super) fn blocking_by_value(mut self, id: u64) -> Handled<u64> {
        self.fee += id;
        Ok(self.fee)
    }

    #[idempotent(key = "id")]
    pub(super) async fn without_self(id: u64) -> Handled<Self>
    where
        Self: Serialize + for<'de> Deserialize<'de>,
    {
        Ok(Self { store: MemoryStore::new(), fee: id })
    }

    fn store(&self) -> Arc<MemoryStore> {
        Arc::new(self.store.clone())
    }
}

impl Serialize for Handler {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fee.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handler {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { store: MemoryStore::new(), fee: u64::deserialize(deserializer)? })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_run() -> Result<(), Error> {
    let handler = || Handler { store: MemoryStore::new(), fee: 10 };
    assert_eq!(assert_send(handler().by_value(1)).await?, 11);
    assert_eq!(handler().by_mutable_value(1).await?, 11);
    assert_eq!(handler().by_reference(1).await?, 11);
    assert_eq!(handler().by_mutable_reference(1).await?, 11);
    assert_eq!(Box::new(handler()).boxed(1).await?, 11);
    assert_eq!(Rc::new(handler()).rc(1).await?, 11);
    assert_eq!(Arc::new(handler()).arc(1).await?, 11);
    assert_eq!(Pin::new(&mut handler()).pinned(1).await?, 11);
    assert_eq!(Arc::new(handler()).arc_reference(1).await?, 11);
    assert_eq!(handler().blocking(1)?, 11);
    assert_eq!(handler().blocking_mutable(1)?, 11);
    assert_eq!(handler().blocking_by_value(1)?, 11);
    assert_eq!(with_memory(Handler::without_self(1)).await?.fee, 1);
    Ok(())
}
