use idem_runtime::{Error, idempotent};

struct Pool;

#[idempotent(key = "id", store = pool)]
async fn handle(pool: &Pool, id: u64) -> Result<u64, Error> {
    let _ = pool;
    Ok(id)
}

fn main() {
    let _ = Pool;
}
