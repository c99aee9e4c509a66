use idem_runtime::{Error, idempotent};

struct Service<'c> {
    tx: sqlx::PgTransaction<'c>,
}

impl Service<'_> {
    #[idempotent(key = "id", tx = "self.tx", scope = "field")]
    async fn field(&mut self, id: u64) -> Result<u64, Error> {
        let _ = &mut self.tx;
        Ok(id)
    }
}

#[idempotent(key = "id", tx = &mut tx)]
async fn borrowed(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
