use idem_runtime::{Error, idempotent};

#[idempotent(key = "order_id", on_decode = |_| Ok(0))]
fn handle(order_id: &str, cents: u64) -> Result<u64, Error> {
    let _ = order_id;
    Ok(cents)
}

fn main() {}
