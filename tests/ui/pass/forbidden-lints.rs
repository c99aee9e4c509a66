//! Handlers in a crate that forbids lints: an `allow` of one of them in the expansion would be a warning.

#![forbid(warnings, unused, clippy::all, clippy::pedantic, clippy::nursery)]

use idem_runtime::{Error, idempotent, run_once};

#[idempotent(key = "id, cents", fingerprint = "cents, id", claim = c)]
async fn handle(id: String, cents: u64) -> Result<String, Error> {
    tokio::task::yield_now().await;
    Ok(format!("{id} {cents} {}", c.attempt()))
}

#[idempotent(key = "id", claim = c)]
fn handle_blocking(id: u64) -> Result<u64, Error> {
    Ok(id + c.fence())
}

async fn in_a_block(id: u64) -> Result<u64, Error> {
    let mut runs = 0;
    let charged = run_once!(key = id, scope = "forbidden/block", claim = c, async || -> Result<u64, Error> {
        runs += 1;
        tokio::task::yield_now().await;
        Ok(c.fence())
    });
    let unchanged = run_once!(key = id, scope = "forbidden/unchanged", async { handle_blocking(id) });
    Ok(charged.await? + unchanged.await? + runs)
}

fn in_a_sync_block(id: u64) -> Result<u64, Error> {
    let mut runs = 0;
    let charged = run_once!(key = id, scope = "forbidden/sync", || {
        runs += 1;
        Ok::<u64, Error>(id)
    });
    Ok(charged? + runs)
}

#[test]
fn runs() {
    drop((handle(String::new(), 1), in_a_block(1)));
    let _ = (handle_blocking, in_a_sync_block);
}
