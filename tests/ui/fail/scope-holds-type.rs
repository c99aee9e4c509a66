use idem_runtime::{Error, idempotent};

struct Orders;

impl Orders {
    #[idempotent(key = "id", scope = "TYPE/handle")]
    async fn handle(&self, id: u64) -> Result<u64, Error> {
        Ok(id)
    }
}

fn main() {}
