use idem_runtime::{Error, idempotent};

fn is_final(_: &Error) -> bool {
    true
}

#[idempotent(key = "order_id", on_error = record_if(is_final))]
async fn handle(order_id: u64) -> Result<u64, Error> {
    Ok(order_id)
}

fn main() {}
