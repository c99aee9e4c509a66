use idem_runtime::{Error, idempotent};

#[idempotent(key = "id.to_string()")]
async fn handle(id: impl ToString) -> Result<u64, Error> {
    Ok(id.to_string().len() as u64)
}

fn main() {}
