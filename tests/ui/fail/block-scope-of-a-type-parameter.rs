use idem_runtime::{Error, run_once};

trait Named {
    const SCOPE: &str;
}

async fn consume<T: Named>(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = T::SCOPE, async { Ok(id) }).await
}

struct Handler;

impl Handler {
    const SCOPE: &str = "handler";

    async fn consume(id: u64) -> Result<u64, Error> {
        run_once!(key = id, scope = Self::SCOPE, async { Ok(id) }).await
    }
}

fn main() {}
