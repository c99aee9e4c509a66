use idem_runtime::{Error, idempotent};

#[idempotent(key = "tenant", scope = "by-tenant")]
#[idempotent(key = "id", scope = "by-id")]
async fn charge(tenant: &str, id: &str) -> Result<(), Error> {
    assert_ne!(tenant, id);
    Ok(())
}

fn main() {}
