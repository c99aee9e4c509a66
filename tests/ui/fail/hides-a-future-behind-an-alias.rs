use idem_runtime::{Error, idempotent};

use std::future::Future;
use std::pin::Pin;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

#[idempotent(key = "id")]
fn handle(id: u64) -> BoxFuture<Result<u64, Error>> {
    Box::pin(async move { Ok(id) })
}

fn main() {}
