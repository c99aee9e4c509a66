//! What `store` takes: anything that is, or derefs to, a store.

#![allow(clippy::redundant_allocation, reason = "a store is found behind any number of pointers")]

use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex};

use idem_runtime::{AnyStore, Error, MemoryStore, idempotent};

static STORE: LazyLock<MemoryStore> = LazyLock::new(MemoryStore::new);

struct Context {
    memory: Arc<MemoryStore>,
    any: AnyStore,
    locked: Mutex<MemoryStore>,
}

impl Context {
    fn store(&self) -> &AnyStore {
        &self.any
    }
}

#[idempotent(key = "id", store = STORE)]
async fn of_a_static(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[idempotent(key = "id", store = "context.memory")]
async fn of_an_arc(context: &Context, id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[idempotent(key = "id", store = context.store())]
fn of_a_method(context: Context, id: u64) -> Result<u64, Error> {
    drop(context);
    Ok(id)
}

#[idempotent(key = "id", store = context.locked.lock().unwrap())]
fn of_a_guard(context: &Context, id: u64) -> Result<u64, Error> {
    let _ = context.any;
    Ok(id)
}

#[idempotent(key = "*ids.lock().unwrap()", store = context.locked.lock().unwrap())]
async fn of_guards(context: Context, ids: Mutex<u64>) -> Result<u64, Error> {
    drop(context);
    Ok(ids.into_inner().unwrap_or_default())
}

#[idempotent(key = "id", store = MemoryStore::new())]
async fn of_a_call(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[idempotent(key = "id", store = if id == 0 { AnyStore::new(MemoryStore::new()) } else { AnyStore::new(STORE.clone()) })]
async fn of_a_choice(id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[idempotent(key = "id", store = store)]
async fn of_references(store: &&Rc<Box<MemoryStore>>, id: u64) -> Result<u64, Error> {
    Ok(id)
}

#[test]
fn runs() {
    drop(of_a_static(1));
    drop(of_a_call(1));
    drop(of_a_choice(1));
    drop(of_references(&&Rc::new(Box::new(MemoryStore::new())), 1));
    let _ = (of_an_arc, of_a_method, of_a_guard, of_guards);
}
