use std::sync::Arc;

use idem_runtime::{Error, IdempotencyStore, idempotent};

struct Orders {
    store: Arc<dyn IdempotencyStore>,
}

impl Orders {
    #[idempotent(key = "id", scope = "orders", store = self.store)]
    async fn handle(&self, id: u64) -> Result<u64, Error> {
        Ok(id)
    }
}

fn main() {}
