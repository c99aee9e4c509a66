use idem_runtime::{Error, idempotent};

struct Order {
    price: f64,
}

#[idempotent(key = "order.price")]
async fn handle(order: Order) -> Result<f64, Error> {
    Ok(order.price)
}

fn main() {}
