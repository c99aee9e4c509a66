use idem_runtime::idempotent;
use tonic::{Response, Status, Streaming};

#[idempotent(key = "id")]
async fn handle(id: u64) -> Result<Response<Streaming<u64>>, Status> {
    Err(Status::not_found(id.to_string()))
}

fn main() {}
