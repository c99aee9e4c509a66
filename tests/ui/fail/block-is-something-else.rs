use idem_runtime::{Error, run_once};

async fn charge(id: u64) -> Result<u64, Error> {
    Ok(id)
}

async fn a_call(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "else/call", charge(id)).await
}

async fn a_closure_with_an_argument(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "else/argument", async |id| { Ok(id) }).await
}

fn a_plain_block(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "else/plain", { Ok(id) })
}

fn nothing(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "else/nothing")
}

fn nothing_at_all() -> Result<u64, Error> {
    run_once!()
}

fn main() {}
