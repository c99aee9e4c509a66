use idem_runtime::{Error, idempotent};

#[idempotent(key = "ordr_id", claim = c)]
async fn handle(order_id: &str) -> Result<String, Error> {
    Ok(c.derive(order_id))
}

fn main() {}
