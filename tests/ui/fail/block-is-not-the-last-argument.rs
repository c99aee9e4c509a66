use idem_runtime::{Error, run_once};

async fn consume(id: u64) -> Result<u64, Error> {
    run_once!(key = id, async { Ok(id) }, scope = "not-last").await
}

fn main() {}
