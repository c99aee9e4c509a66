//! Methods of traits, native ones and those of `#[async_trait]`.

use idem_runtime::{Error, MemoryStore, idempotent};

use super::{Handled, Order, assert_send, order, pause, with_memory};

pub(super) trait Native {
    fn fee(&self) -> u64;

    #[idempotent(key = "id", scope = "traits/provided")]
    async fn provided(&self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee() + id)
    }

    #[idempotent(key = "id", scope = "traits/blocking")]
    fn blocking(&self, id: u64) -> Handled<u64> {
        Ok(self.fee() + id)
    }

    async fn implemented(&self, id: u64) -> Handled<u64>;
}

#[async_trait::async_trait]
pub(super) trait Boxed: Sync {
    fn fee(&self) -> u64;

    #[idempotent(key = "id", scope = "boxed/provided")]
    async fn provided(&self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.fee() + id)
    }

    async fn implemented(&self, order: Order, pair: (u64, u64)) -> Handled<u64>;
    async fn by_value(self: Box<Self>, id: &str) -> Handled<u64>;
    async fn mutable(&mut self, id: String) -> Handled<String>;
    async fn without_self(id: u64) -> Handled<u64>
    where
        Self: Sized;
    async fn generic<T: AsRef<str> + Send + 'static>(&self, id: T) -> Handled<String>;
}

pub(super) struct Handler(pub(super) u64, pub(super) MemoryStore);

impl Native for Handler {
    fn fee(&self) -> u64 {
        self.0
    }

    #[idempotent(key = "id, self.0", scope = "traits/implemented", store = self.1)]
    async fn implemented(&self, id: u64) -> Handled<u64> {
        pause().await;
        Ok(self.0 + id)
    }
}

#[async_trait::async_trait]
impl Boxed for Handler {
    fn fee(&self) -> u64 {
        self.0
    }

    #[idempotent(key = "id, self.0, a", scope = "boxed/implemented", store = self.1, claim = c)]
    async fn implemented(&self, Order { id, cents }: Order, (a, mut b): (u64, u64)) -> Handled<u64> {
        pause().await;
        b += a;
        assert_eq!(c.scope(), "boxed/implemented");
        Ok(self.0 + cents + b + id.len() as u64)
    }

    #[idempotent(key = "id", scope = "boxed/by-value", store = self.1)]
    async fn by_value(self: Box<Self>, id: &str) -> Handled<u64> {
        pause().await;
        Ok(self.0 + id.len() as u64)
    }

    #[idempotent(key = "id", scope = "boxed/mutable", store = self.1)]
    #[tracing::instrument(skip(self))]
    async fn mutable(&mut self, mut id: String) -> Handled<String> {
        self.0 += 1;
        id.push('!');
        if id.len() > 100 {
            return Ok(id);
        }
        pause().await;
        Ok(id)
    }

    #[tracing::instrument]
    #[idempotent(key = "id")]
    async fn without_self(id: u64) -> Handled<u64> {
        pause().await;
        Ok(id)
    }

    #[tracing::instrument(skip_all)]
    #[idempotent(key = "id.as_ref()", scope = "boxed/generic", store = self.1)]
    async fn generic<T: AsRef<str> + Send + 'static>(&self, id: T) -> Handled<String> {
        pause().await;
        Ok(id.as_ref().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trait_methods_run() -> Result<(), Error> {
    let mut handler = Handler(10, MemoryStore::new());
    with_memory(async {
        assert_eq!(Native::provided(&handler, 1).await?, 11);
        assert_eq!(Native::implemented(&handler, 1).await?, 11);
        assert_eq!(Native::blocking(&handler, 2)?, 12);
        assert_eq!(assert_send(Boxed::provided(&handler, 1)).await?, 11);
        assert_eq!(Boxed::implemented(&handler, order("ab", 3), (4, 5)).await?, 24);
        assert_eq!(Boxed::generic(&handler, "a".to_owned()).await?, "a");
        assert_eq!(Boxed::mutable(&mut handler, "a".to_owned()).await?, "a!");
        assert_eq!(<Handler as Boxed>::without_self(3).await?, 3);
        assert_eq!(Box::new(handler).by_value("abc").await?, 14);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn r21_an_async_trait_method_claims_when_it_is_polled() {
    let handler = Handler(10, MemoryStore::new());
    let dropped = Boxed::implemented(&handler, order("a", 1), (1, 1));
    drop(dropped);
    // If the dropped call had claimed the key, this call would be refused.
    assert_eq!(Boxed::implemented(&handler, order("a", 1), (1, 1)).await.unwrap(), 14);
    // This call is a duplicate, as the price is not in the key.
    assert_eq!(Boxed::implemented(&handler, order("a", 100), (1, 1)).await.unwrap(), 14, "replayed");
    assert_eq!(Boxed::implemented(&handler, order("b", 100), (1, 1)).await.unwrap(), 113);
}
