use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "tx")]
async fn handle(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = (tx, id);
    Ok("one")
}

#[idempotent(key = "id", tx = "tx")]
fn blocking(tx: &rusqlite::Transaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = (tx, id);
    Ok("one")
}

fn main() {}
