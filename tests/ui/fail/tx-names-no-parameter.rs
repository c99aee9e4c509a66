use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "txn")]
async fn misspelled(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

#[idempotent(key = "id", tx = tx)]
async fn unlike(connection: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = connection;
    Ok(id)
}

#[idempotent(key = "1", tx = "tx")]
async fn none() -> Result<u64, Error> {
    Ok(1)
}

#[idempotent(key = "id", tx = "tx")]
async fn in_a_pattern((tx, id): (&mut sqlx::PgTransaction<'_>, u64)) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
