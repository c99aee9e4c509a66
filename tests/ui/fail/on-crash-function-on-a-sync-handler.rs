use idem_runtime::{Error, idempotent};

async fn find_out(_: &idem_runtime::Claim) -> Result<Option<u64>, Error> {
    Ok(None)
}

#[idempotent(key = "order_id", on_crash = find_out)]
fn handle(order_id: &str, cents: u64) -> Result<u64, Error> {
    let _ = order_id;
    Ok(cents)
}

fn main() {
    let _ = find_out;
}
