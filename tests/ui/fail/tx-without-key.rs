use idem_runtime::{Error, idempotent};

#[idempotent(tx = "tx")]
async fn handle(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
