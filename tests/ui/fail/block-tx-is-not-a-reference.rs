use idem_runtime::{Error, run_once};

async fn by_name(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    run_once!(tx = "tx", key = id, scope = "reference/name", async { Ok(id) }).await
}

async fn by_a_call(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    run_once!(tx = &mut begun(tx), key = id, scope = "reference/call", async { Ok(id) }).await
}

fn begun<T>(tx: T) -> T {
    tx
}

fn main() {}
