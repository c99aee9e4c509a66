use idem_runtime::idempotent;

#[idempotent(key = "id")]
async fn handle(id: u64) -> impl std::fmt::Debug {
    id
}

fn main() {}
