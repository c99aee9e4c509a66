use idem_runtime::idempotent;

struct Failure;

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<u64, Failure> {
    if id == 0 { Err(Failure) } else { Ok(id) }
}

fn main() {}
