use idem_runtime::{Error, idempotent};

const SCOPE: u32 = 7;

#[idempotent(key = "order_id", scope = SCOPE)]
async fn handle(order_id: &str) -> Result<usize, Error> {
    Ok(order_id.len())
}

fn main() {}
