use idem_runtime::{Error, idempotent};

struct Receipt(u64);

struct Orders;

#[async_trait::async_trait]
pub trait Handle {
    async fn handle(&self, id: u64) -> Result<Receipt, Error>;
}

#[async_trait::async_trait]
impl Handle for Orders {
    #[idempotent(key = "id", scope = "orders")]
    async fn handle(&self, id: u64) -> Result<Receipt, Error> {
        Ok(Receipt(id))
    }
}

fn main() {}
