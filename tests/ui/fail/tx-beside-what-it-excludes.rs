use idem_runtime::{Error, MemoryStore, idempotent};

static STORE: std::sync::LazyLock<MemoryStore> = std::sync::LazyLock::new(MemoryStore::new);

#[idempotent(
    key = "id",
    tx = "tx",
    store = STORE,
    lease = "60s",
    wait = "5s",
    on_error = "record",
    on_crash = "park",
    on_store_error = "run",
    claim = claim
)]
async fn handle(tx: &mut sqlx::PgTransaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = (tx, claim.fence());
    Ok(id)
}

fn main() {
    let _ = &STORE;
}
