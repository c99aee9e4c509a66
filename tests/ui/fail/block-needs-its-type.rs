use idem_runtime::{Error, run_once};

async fn charge(id: u64) -> Result<u64, Error> {
    Ok(id)
}

async fn consume(id: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let charged = run_once!(key = id, scope = "untyped", async {
        let charged = charge(id).await?;
        Ok(charged)
    })
    .await?;
    Ok(charged)
}

fn main() {}
