//! An idempotent consumer, to copy: `charge NAME_SERVER STORE` charges the orders of the topic `orders`. It ends on Ctrl-C.

use std::sync::Arc;
use std::time::Duration;

use idem_runtime::consumer::{Disposition, Refusal, disposition};
use idem_runtime::{Error, SqliteStore, drain_blocking, idempotent, install};
use rocketmq_client_rust::{
    ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, DefaultMQPushConsumer,
    MQPushConsumer,
};
use rocketmq_model::common::message::{MessageTrait, message_ext::MessageExt};
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use tracing_subscriber::filter::LevelFilter;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The order, from the message's body. The message's `KEYS` are the order's id.
#[derive(serde::Deserialize)]
struct Order {
    cents: u64,
}

enum ChargeError {
    Unreadable,
    Idempotency(Error),
}

impl From<Error> for ChargeError {
    fn from(error: Error) -> Self {
        Self::Idempotency(error)
    }
}

impl Refusal for ChargeError {
    fn refusal(&self) -> Option<&Error> {
        if let Self::Idempotency(error) = self { Some(error) } else { None }
    }

    fn is_final(&self) -> bool {
        matches!(self, Self::Unreadable)
    }
}

/// A duplicate of a running order waits, because each message that is sent back uses up one of its 16 retries.
#[idempotent(key = "id", scope = "shop/charge", fingerprint = "order.cents", wait = "20s", claim = claim)]
fn charge(id: Option<&str>, order: &Order) -> Result<(), ChargeError> {
    // Here call your provider. It recognises a repeated request by this derived key.
    println!("charged {} of {} as {}", order.cents, claim.key(), claim.derive("charge"));
    Ok(())
}

fn handle(message: &MessageExt) -> Result<(), ChargeError> {
    let keys = message.property(&"KEYS".into()).unwrap_or_default();
    let id = keys.as_str().split(' ').find(|key| !key.is_empty());
    let body = message.body().unwrap_or_default();
    charge(id, &serde_json::from_slice(&body).map_err(|_| ChargeError::Unreadable)?)
}

/// A status is for the whole batch. If one message has to come again, all do, and those that were handled are then replayed.
fn consume(messages: &[&MessageExt]) -> ConsumeConcurrentlyStatus {
    let handled = |message: &&MessageExt| disposition(&handle(message)) == Disposition::Acknowledge;
    match messages.iter().all(handled) {
        true => ConsumeConcurrentlyStatus::ConsumeSuccess,
        false => ConsumeConcurrentlyStatus::ReconsumeLater,
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name_server, store] = &arguments[..] else { return Err("charge NAME_SERVER STORE".into()) };
    // If the client can't tell the broker how far this consumer has got, only the client's log says so.
    tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_writer(std::io::stderr).init();
    // A runtime of its own, as the client's stops before the last handler has returned.
    let runtime = tokio::runtime::Runtime::new()?;
    install(runtime.block_on(SqliteStore::open(store))?)?;

    let owner = RuntimeOwner::plan(RuntimeConfig::default())?.build()?;
    let context = owner.root_context().component("client");
    let client =
        ClientRuntime::try_new(context, ClientRuntimeConfig::default(), TelemetryRuntimeGuard::noop().handle())?;
    let mut consumer = DefaultMQPushConsumer::builder(Arc::clone(&client))
        .consumer_group("charging")
        .name_server_addr(name_server.as_str())
        .build();
    let listener = |messages: &[&MessageExt], _: &ConsumeConcurrentlyContext| Ok(consume(messages));
    consumer.register_message_listener_concurrently(listener);
    owner.block_on(async {
        consumer.subscribe("orders", "*").await?;
        consumer.start().await?;
        tokio::signal::ctrl_c().await?;
        consumer.shutdown().await;
        client.shutdown().await;
        Outcome::Ok(())
    })?;
    owner.shutdown_runtime_blocking()?;
    // Waits until the store has got what handlers that were cut short have left behind.
    let left = drain_blocking(Duration::from_secs(10));
    if left > 0 {
        eprintln!("{left} orders stay blocked until their leases end");
    }
    Ok(())
}
