use idem_runtime::{Error, idempotent};

#[idempotent(key = "1")]
fn main() -> Result<(), Error> {
    Ok(())
}
