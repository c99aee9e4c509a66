use idem_runtime::{Error, run_once};

async fn consume(id: u64) -> Result<u64, Error> {
    run_once!(scope = "without-key", async { Ok(id) }).await
}

fn main() {}
