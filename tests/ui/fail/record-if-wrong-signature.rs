use idem_runtime::{Error, idempotent};

#[derive(serde::Serialize, serde::Deserialize)]
struct Failure;

impl From<Error> for Failure {
    fn from(_: Error) -> Self {
        Self
    }
}

fn is_final(_: Failure) -> bool {
    true
}

#[idempotent(key = "order_id", on_error = record_if(is_final))]
async fn handle(order_id: u64) -> Result<u64, Failure> {
    Ok(order_id)
}

fn main() {}
