use idem_runtime::{Error, idempotent};

trait Named {
    const SCOPE: &'static str;
}

#[idempotent(key = "order_id", scope = T::SCOPE)]
async fn handle<T: Named>(order_id: &str) -> Result<usize, Error> {
    Ok(order_id.len())
}

fn main() {}
