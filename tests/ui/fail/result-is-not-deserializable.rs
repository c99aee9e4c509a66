use idem_runtime::{Error, idempotent};

#[derive(serde::Serialize)]
struct Receipt(u64);

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<Receipt, Error> {
    Ok(Receipt(id))
}

fn main() {}
