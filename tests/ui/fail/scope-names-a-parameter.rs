use idem_runtime::{Error, idempotent};

#[idempotent(key = "order_id", scope = tenant)]
async fn handle(tenant: &'static str, order_id: &str) -> Result<usize, Error> {
    Ok(tenant.len() + order_id.len())
}

fn main() {}
