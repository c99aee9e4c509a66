use idem_runtime::{Error, idempotent};

struct Order;

struct Orders(Order);

#[async_trait::async_trait]
pub trait Handle {
    async fn handle(&self, id: u64) -> Result<u64, Error>;
}

#[async_trait::async_trait]
impl Handle for Orders {
    #[idempotent(key = "self.0", scope = "orders")]
    async fn handle(&self, id: u64) -> Result<u64, Error> {
        Ok(id)
    }
}

fn main() {}
