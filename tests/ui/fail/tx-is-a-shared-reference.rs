use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "tx")]
async fn handle(tx: &sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
