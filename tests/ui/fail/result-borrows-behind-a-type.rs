use idem_runtime::{Error, idempotent};

#[derive(serde::Serialize, serde::Deserialize)]
struct Receipt<'a>(&'a str);

#[idempotent(key = "id")]
async fn handle(id: &str) -> Result<Receipt<'_>, Error> {
    Ok(Receipt(id))
}

fn main() {}
