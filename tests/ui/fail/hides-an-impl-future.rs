use idem_runtime::{Error, idempotent};

use std::future::Future;

#[idempotent(key = "id")]
fn handle(id: u64) -> impl Future<Output = Result<u64, Error>> {
    async move { Ok(id) }
}

fn main() {}
