use idem_runtime::{DecodeError, Error, idempotent};

fn unknown(_: &DecodeError) -> Option<u64> {
    None
}

#[idempotent(key = "order_id", on_decode = unknown)]
async fn handle(order_id: &str, cents: u64) -> Result<u64, Error> {
    let _ = order_id;
    Ok(cents)
}

fn main() {}
