use idem_runtime::{Error, run_once};

async fn typed(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "type-error/typed", async || -> Result<u64, Error> {
        if id == 0 {
            return Ok("zero");
        }
        Ok(id)
    })
    .await
}

fn blocking(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "type-error/blocking", || -> Result<u64, Error> { id })
}

fn main() {}
