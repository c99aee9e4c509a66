use idem_runtime::idempotent;

struct Orders;

#[idempotent(key = "id")]
impl Orders {
    fn handle(&self) {}
}

fn main() {
    Orders.handle();
}
