use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle<const N: usize>(id: [u8; N]) -> Result<usize, Error> {
    Ok(id.len())
}

fn main() {}
