use idem_runtime::{Error, run_once};

async fn consume(id: u64) -> Result<u64, Error> {
    run_once!(kye = id, scope = "misspelled", claim = c, async { Ok(id + c.fence()) }).await
}

fn main() {}
