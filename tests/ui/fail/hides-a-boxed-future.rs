use idem_runtime::{Error, idempotent};

use std::future::Future;
use std::pin::Pin;

#[idempotent(key = "id")]
fn handle(id: u64) -> Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>> {
    Box::pin(async move { Ok(id) })
}

fn main() {}
