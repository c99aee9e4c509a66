use axum::response::IntoResponse;
use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<impl IntoResponse, Error> {
    Ok(id.to_string())
}

fn main() {}
