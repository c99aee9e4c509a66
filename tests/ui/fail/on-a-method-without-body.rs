use idem_runtime::{Error, idempotent};

pub trait Handle {
    #[idempotent(key = "id", scope = "handle")]
    fn handle(&self, id: u64) -> Result<u64, Error>;
}

fn main() {}
