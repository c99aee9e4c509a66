use idem_runtime::{Error, idempotent};

#[idempotent(key = "price")]
async fn handle(price: f64) -> Result<f64, Error> {
    Ok(price)
}

fn main() {}
