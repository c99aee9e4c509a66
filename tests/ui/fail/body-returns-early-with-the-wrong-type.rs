use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<String, Error> {
    if id == 0 {
        return Ok(id);
    }
    Ok(id.to_string())
}

fn main() {}
