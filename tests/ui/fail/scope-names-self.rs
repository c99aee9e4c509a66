use idem_runtime::{Error, idempotent};

struct Orders;

impl Orders {
    const SCOPE: &'static str = "shop/orders";

    #[idempotent(key = "order_id", scope = Self::SCOPE)]
    async fn handle(&self, order_id: &str) -> Result<usize, Error> {
        Ok(order_id.len())
    }
}

fn main() {
    let _ = (Orders, Orders::SCOPE);
}
