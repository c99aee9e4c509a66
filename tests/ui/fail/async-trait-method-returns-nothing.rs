use idem_runtime::idempotent;

struct Orders;

#[async_trait::async_trait]
pub trait Handle {
    async fn handle(&self, id: u64);
}

#[async_trait::async_trait]
impl Handle for Orders {
    #[idempotent(key = "id", scope = "orders")]
    async fn handle(&self, id: u64) {
        let _ = id;
    }
}

fn main() {}
