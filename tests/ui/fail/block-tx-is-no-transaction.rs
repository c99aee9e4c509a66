use idem_runtime::{Error, run_once};

async fn consume(mut pool: Vec<u8>, id: u64) -> Result<u64, Error> {
    run_once!(tx = &mut pool, key = id, scope = "no-transaction", async { Ok(id) }).await
}

fn blocking(pool: &mut Vec<u8>, id: u64) -> Result<u64, Error> {
    run_once!(tx = &mut *pool, key = id, scope = "no-transaction/blocking", || Ok(id))
}

fn main() {}
