use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle(id: &str) -> Result<u64, Error> {
    Ok(id.parse::<u64>()?)
}

fn main() {}
