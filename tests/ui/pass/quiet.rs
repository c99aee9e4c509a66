//! Handlers of every kind, without a warning.

#![deny(warnings, clippy::all)]

use idem_runtime::{Error, MemoryStore, Outcome, idempotent};

#[idempotent(key = "id")]
async fn on_one_line(id: u64) -> Result<u64, Error> { Ok(id) }

#[idempotent(key = "id", claim = c)]
fn on_one_line_blocking(id: u64) -> Result<u64, Error> { Ok(id + c.fence()) }

#[idempotent(key = "id", store = store)]
async fn only_for_the_key(id: u64, store: &MemoryStore) -> Result<Outcome<()>, Error> {
    Ok(().into())
}

#[idempotent(key = "id")]
async fn changed(mut id: String) -> Result<String, Error> {
    id.push('!');
    Ok(id)
}

#[idempotent(key = "id")]
async fn early(id: &str) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    if id.is_empty() {
        return Err("empty".into());
    }
    Ok(id.parse()?)
}

#[idempotent(key = (cents - tip), fingerprint = "id, (cents / 100)")]
async fn computed_in_parentheses(id: u64, cents: u64, tip: u64) -> Result<u64, Error> { Ok(id + cents + tip) }

#[idempotent(key = { let tips = [tip, 1]; cents - tips[0] })]
async fn computed_in_a_block(cents: u64, tip: u64) -> Result<u64, Error> { Ok(cents + tip) }

struct Handler {
    store: MemoryStore,
}

#[async_trait::async_trait]
trait Handle {
    async fn handle(&self, id: u64, pair: (u64, u64)) -> Result<u64, Error>;
}

#[async_trait::async_trait]
impl Handle for Handler {
    #[idempotent(key = "id, a", scope = "quiet/handle", store = self.store)]
    async fn handle(&self, id: u64, (a, _): (u64, u64)) -> Result<u64, Error> {
        Ok(id + a)
    }
}

#[test]
fn runs() {
    let store = MemoryStore::new();
    drop(on_one_line(1));
    drop(only_for_the_key(1, &store));
    drop(early("1"));
    drop((computed_in_parentheses(1, 2, 1), computed_in_a_block(2, 1)));
    drop(changed(String::new()));
    drop(Handler { store: store.clone() }.handle(1, (2, 3)));
    let _ = on_one_line_blocking;
}
