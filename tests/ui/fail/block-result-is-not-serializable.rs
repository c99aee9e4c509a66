use idem_runtime::{Error, run_once};

struct Receipt;

async fn charge(_: u64) -> Result<Receipt, Error> {
    Ok(Receipt)
}

async fn untyped(id: u64) -> Result<Receipt, Error> {
    run_once!(key = id, scope = "receipt/untyped", async { charge(id).await }).await
}

async fn typed(id: u64) -> Result<Receipt, Error> {
    run_once!(key = id, scope = "receipt/typed", async || -> Result<Receipt, Error> { charge(id).await }).await
}

fn main() {}
