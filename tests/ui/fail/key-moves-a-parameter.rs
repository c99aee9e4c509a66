use idem_runtime::{Error, idempotent};

#[idempotent(key = "order_id.into_bytes()")]
async fn handle(order_id: String) -> Result<String, Error> {
    Ok(order_id)
}

fn main() {}
