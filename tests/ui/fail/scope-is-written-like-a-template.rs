use idem_runtime::{Error, idempotent};

#[idempotent(key = "order", scope = "shop/{tenant}")]
async fn handle(tenant: u64, order: u64) -> Result<u64, Error> {
    Ok(tenant + order)
}

fn main() {}
