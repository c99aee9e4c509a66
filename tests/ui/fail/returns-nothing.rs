use idem_runtime::idempotent;

#[idempotent(key = "id")]
async fn handle(id: u64) {
    let _ = id;
}

fn main() {}
