use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", store = "memory:")]
async fn handle(id: u64) -> Result<u64, Error> {
    Ok(id)
}

fn main() {}
