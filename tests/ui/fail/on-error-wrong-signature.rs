use idem_runtime::{Error, idempotent};

fn decide(_: &Error) -> bool {
    true
}

#[idempotent(key = "order_id", on_error = decide)]
async fn handle(order_id: &str, cents: u64) -> Result<u64, Error> {
    let _ = order_id;
    Ok(cents)
}

fn main() {}
