use idem_runtime::{Error, idempotent, run_once};

#[idempotent(key = "{tenant}-{order}")]
async fn with_placeholders(tenant: u64, order: u64) -> Result<u64, Error> {
    Ok(tenant + order)
}

#[idempotent(key = "tenant, order/line")]
async fn a_part(tenant: u64, order: u64, line: u64) -> Result<u64, Error> {
    Ok(tenant + order + line)
}

#[idempotent(key = tenant - order)]
async fn without_quotes(tenant: u64, order: u64) -> Result<u64, Error> {
    Ok(tenant + order)
}

#[idempotent(key = "order:{id}")]
async fn no_expression(id: u64) -> Result<u64, Error> {
    Ok(id)
}

async fn in_a_block(tenant: u64, order: u64) -> Result<u64, Error> {
    run_once!(key = "tenant-{order}", scope = "template", async { Ok(tenant + order) }).await
}

fn main() {}
