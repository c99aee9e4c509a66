use idem_runtime::{Error, idempotent};

struct Order {
    id: u64,
}

#[idempotent(key = "order.id", fingerprint = "tenant, order")]
async fn handle(tenant: u64, order: Order) -> Result<u64, Error> {
    Ok(tenant + order.id)
}

fn main() {}
