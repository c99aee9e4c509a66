use idem_runtime::{Error, idempotent};

struct Order {
    id: u64,
}

#[idempotent(key = "order.id", fingerprint = "order")]
async fn handle(order: Order) -> Result<u64, Error> {
    Ok(order.id)
}

fn main() {}
