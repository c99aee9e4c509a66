use idem_runtime::{Error, idempotent};

#[idempotent(kye = "order_id", ttl = "7", lease = "60s", lease = "5s", on_crash = "parc", wiat = "5s")]
async fn handle(order_id: &str, cents: u64) -> Result<u64, Error> {
    let _ = order_id;
    Ok(cents)
}

fn main() {}
