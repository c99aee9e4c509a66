use idem_runtime::{Error, idempotent};

use idem_runtime::Outcome;

struct Receipt(u64);

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<Outcome<Receipt>, Error> {
    Ok(Receipt(id).into())
}

fn main() {
    let _ = Receipt(1).0;
}
