use idem_runtime::{Error, idempotent};

struct Orders;

impl Orders {
    #[idempotent(key = "id")]
    async fn handle(&self, id: u64) -> Result<u64, Error> {
        Ok(id)
    }
}

fn main() {
    drop(Orders.handle(1));
}
