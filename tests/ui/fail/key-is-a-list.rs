use idem_runtime::{Error, idempotent};

#[idempotent(key = "ids")]
async fn handle(ids: Vec<u64>) -> Result<usize, Error> {
    Ok(ids.len())
}

fn main() {}
