use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "tx")]
async fn handle<'c>(tx: &'c mut sqlx::Transaction<'c, sqlx::Postgres>, id: u64) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
