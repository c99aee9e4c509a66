use axum::Json;
use idem_runtime::{Error, idempotent};

#[derive(serde::Serialize, serde::Deserialize)]
struct Receipt(u64);

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<Json<Receipt>, Error> {
    Ok(Json(Receipt(id)))
}

fn main() {
    let _ = Receipt(1).0;
}
