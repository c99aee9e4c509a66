use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "pool")]
async fn handle(pool: &mut sqlx::PgPool, id: u64) -> Result<u64, Error> {
    let _ = pool;
    Ok(id)
}

fn main() {}
