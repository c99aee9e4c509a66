#![deny(warnings)]

use idem_runtime::{Error, idempotent};

#[idempotent(key = "id", tx = "tx")]
pub async fn handle(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<(), Error> {
    Ok(())
}

#[idempotent(key = "id", tx = "tx")]
pub async fn mutable(mut tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<(), Error> {
    let _ = tx;
    Ok(())
}

fn main() {}
