//! Attacks on the distributed stores.

mod connections;
mod large;
mod locks;
mod runtimes;
mod settings;
mod steps;

use std::time::Duration;

use idem_runtime::store::Key;
use idem_runtime::{AnyStore, Error, Outcome, idempotent};

const LEASE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const INSTANT: Duration = Duration::from_micros(1);

fn key(text: impl AsRef<str>) -> Key {
    Key::from_bytes(text.as_ref().as_bytes()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[idempotent(key = "id", store = store, scope = "attack::charge")]
async fn charge(store: &AnyStore, id: &str) -> Result<Outcome<u32>, Error> {
    Ok(1.into())
}
