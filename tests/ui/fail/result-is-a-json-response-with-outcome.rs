use axum::Json;
use idem_runtime::{Error, Outcome, idempotent};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<Outcome<Json<u64>>, Error> {
    Ok(Json(id).into())
}

fn main() {}
