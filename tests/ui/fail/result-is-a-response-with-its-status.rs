use axum::Json;
use axum::http::StatusCode;
use idem_runtime::{Error, idempotent};

#[derive(serde::Serialize, serde::Deserialize)]
struct Receipt(u64);

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<(StatusCode, Json<Receipt>), Error> {
    Ok((StatusCode::CREATED, Json(Receipt(id))))
}

fn main() {
    let _ = Receipt(1).0;
}
