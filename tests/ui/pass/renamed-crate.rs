//! A crate that re-exports the library.

mod framework {
    pub(crate) use idem_runtime as idempotency;
}

use framework::idempotency::{Error, idempotent};

#[idempotent(key = "id", crate = crate::cases::renamed_crate::framework::idempotency, claim = c)]
async fn handle(id: u64) -> Result<u64, Error> {
    Ok(id + c.fence())
}

#[idempotent(key = "id", crate = "framework::idempotency")]
fn handle_blocking(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[test]
fn runs() {
    drop(handle(1));
    let _ = handle_blocking;
}
