use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<String, Error> {
    Ok(id)
}

fn main() {}
