use idem_runtime::{Error, run_once};

struct Order {
    id: u64,
}

async fn key(order: Order) -> Result<u64, Error> {
    run_once!(key = order., scope = "half/key", async { Ok(order.id) }).await
}

async fn body(order: Order) -> Result<u64, Error> {
    run_once!(key = order.id, scope = "half/body", async || -> Result<u64, Error> { let _ = order.; Ok(order.id) }).await
}

async fn argument(order: Order) -> Result<u64, Error> {
    run_once!(key = order.id, scope = "half/argument", lea async { Ok(order.id) }).await
}

fn main() {}
