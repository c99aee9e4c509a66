use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<u64, Error> {
    let text: String = id;
    Ok(text.len() as u64)
}

fn main() {}
