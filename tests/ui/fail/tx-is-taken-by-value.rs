use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "tx")]
async fn handle(mut tx: sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = &mut tx;
    Ok(id)
}

fn main() {}
