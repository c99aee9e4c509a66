//! Code that README and the book show and that no consumer here has: it compiles.

#![expect(dead_code, reason = "it is shown, and not run")]

use idem_rocketmq::client::Outcome;
use idem_runtime::consumer::{Disposition, disposition};
use idem_runtime::store::Key;
use idem_runtime::{Error, IdempotencyStore, PostgresStore, idempotent, install};
use rocketmq_client_rust::ConsumeConcurrentlyStatus;
use rocketmq_model::common::message::message_ext::MessageExt;
use sqlx::PgPool;

fn consume(message: &MessageExt, handle: impl Fn(&MessageExt) -> Result<(), Error>) -> ConsumeConcurrentlyStatus {
    match disposition(&handle(message)) {
        Disposition::Acknowledge => ConsumeConcurrentlyStatus::ConsumeSuccess,
        Disposition::Retry { .. } | Disposition::DeadLetter => ConsumeConcurrentlyStatus::ReconsumeLater,
    }
}

#[idempotent(key = "id", scope = "shop/charge")]
async fn charge(_pool: &PgPool, id: Option<&str>, _order: &MessageExt) -> Result<(), Error> {
    Ok(())
}

fn run(pool: &PgPool, id: Option<&str>, order: &MessageExt) -> Outcome<ConsumeConcurrentlyStatus> {
    let runtime = tokio::runtime::Runtime::new()?;
    install(runtime.block_on(PostgresStore::open_with(pool.clone()))?)?;

    let handle = |order: &MessageExt| runtime.block_on(charge(pool, id, order));
    Ok(consume(order, handle))
}

async fn forget(store: impl IdempotencyStore) -> Outcome<()> {
    let admin = store.admin().unwrap();
    admin.forget("shop/charge", &Key::of("order").unwrap()).await?;
    Ok(())
}
