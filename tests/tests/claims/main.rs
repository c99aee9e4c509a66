//! R1 to R11: claims.

mod clock;
mod duplicates;
mod leases;
mod lost;
mod requests;

use idem_runtime::{Error, idempotent};
use idem_tests::Gate;
use idem_tests::probe::Probe;

#[idempotent(key = "id", store = store, lease = "20s")]
async fn gated(store: &Probe, gate: Gate, id: u32) -> Result<u32, Error> {
    gate.pass().await;
    Ok(id)
}
