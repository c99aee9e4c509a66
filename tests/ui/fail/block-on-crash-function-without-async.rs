use idem_runtime::{Claim, Error, run_once};

async fn find_out(_: &Claim) -> Result<Option<u64>, Error> {
    Ok(None)
}

fn consume(id: u64) -> Result<u64, Error> {
    run_once!(key = id, scope = "crash", on_crash = find_out, || Ok(id))
}

fn main() {}
