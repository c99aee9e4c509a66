use idem_runtime::idempotent;

#[idempotent(key = "id")]
fn handle(id: u64) -> String {
    id.to_string()
}

fn main() {}
