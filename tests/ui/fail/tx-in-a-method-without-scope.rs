use idem_runtime::{Error, idempotent};

struct Ledger;

impl Ledger {
    #[idempotent(key = "id", tx = "tx")]
    async fn handle(&self, tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
        let _ = tx;
        Ok(id)
    }
}

fn main() {
    let _ = Ledger;
}
