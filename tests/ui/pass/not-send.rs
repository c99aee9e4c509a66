//! A body that is not `Send` makes a future that is not, and that is all.

use std::rc::Rc;

use idem_runtime::{Error, MemoryStore, idempotent};

#[idempotent(key = "id", store = store)]
async fn local(store: &MemoryStore, id: Rc<str>) -> Result<usize, Error> {
    std::future::ready(()).await;
    Ok(id.len())
}

#[idempotent(key = "id", store = store, claim = c, wait = "1s", fingerprint = "id")]
async fn shared(store: &MemoryStore, id: &str) -> Result<String, Error> {
    std::future::ready(()).await;
    Ok(c.derive(id))
}

fn assert_send<T: Send>(_: T) {}

#[test]
fn runs() {
    let store = MemoryStore::new();
    drop(local(&store, "id".into()));
    assert_send(shared(&store, "id"));
}
