use idem_runtime::idempotent;

#[idempotent(key = "id")]
extern "C" fn handle(id: u64) -> bool {
    id > 0
}

fn main() {}
