use axum::response::{IntoResponse as _, Response};
use idem_runtime::{Error, idempotent};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<Response, Error> {
    Ok(id.to_string().into_response())
}

fn main() {}
