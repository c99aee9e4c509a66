use idem_runtime::{DecodeError, Error, idempotent};

fn unknown(_: &DecodeError) -> Result<String, Error> {
    Ok(String::new())
}

#[idempotent(key = "id", tx = "tx", on_decode = unknown)]
fn handle(tx: &rusqlite::Transaction<'_>, id: u64) -> Result<u64, Error> {
    let _ = tx;
    Ok(id)
}

fn main() {}
