use idem_runtime::consumer::disposition;
use idem_runtime::{Error, idempotent};

enum ChargeError {
    Idempotency(Error),
}

impl From<Error> for ChargeError {
    fn from(error: Error) -> Self {
        Self::Idempotency(error)
    }
}

#[idempotent(key = "order")]
async fn charge(order: u32) -> Result<(), ChargeError> {
    Ok(())
}

async fn deliver() {
    let charged = charge(1).await;
    disposition(&charged);
}

fn main() {}
