use idem_runtime::{Error, idempotent};

#[idempotent(key = "order", fingerprint = "cents-tip")]
async fn handle(order: u64, cents: u64, tip: u64) -> Result<u64, Error> {
    Ok(order + cents + tip)
}

fn main() {}
