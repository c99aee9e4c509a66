use idem_runtime::idempotent;

#[idempotent(key = "id")]
enum Order {
    One,
}

fn main() {
    let _ = Order::One;
}
