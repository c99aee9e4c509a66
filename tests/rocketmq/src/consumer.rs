//! A consumer process: a push consumer whose listener hands each message to a [`Handler`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use idem_runtime::consumer::Disposition;
use idem_runtime::{PostgresStore, SqliteStore, install};
use rocketmq_client_rust::{
    ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, DefaultMQPushConsumer, MQPushConsumer,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_ext::MessageExt;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use crate::client::{Lane, Outcome, runtime, terminated};
use crate::handlers::{Delivery, Handler, status};
use crate::journal::Journal;
use crate::order::{Order, business_key};
use crate::shop::Shop;

/// How a consumer is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The handler of the messages.
    pub handler: Handler,
    /// The port of the name server.
    pub name_server: u16,
    /// The consumer group.
    pub group: String,
    /// The topic to which it subscribes.
    pub topic: String,
    /// The folder of the journal, the shop and the store.
    pub directory: PathBuf,
    /// The URL of the shop and the store, if they are on a server.
    pub postgres: Option<String>,
    /// How many messages a listener is given at most.
    pub batch: u32,
    /// How many listeners run at once.
    pub at_once: usize,
    /// The client's consume time-out.
    pub limit: Duration,
    /// Whether handlers take no time and don't fail, even if an order says so.
    pub mended: bool,
    /// How often a message is delivered again, before it goes to the dead-letter queue.
    pub retries: i32,
}

/// Consumes until it is told to stop.
///
/// # Errors
///
/// It didn't start.
pub fn run(settings: Settings) -> Outcome<()> {
    let (owner, client) = runtime(Lane { at_once: settings.at_once, limit: settings.limit })?;
    let listener = Arc::new(Listener::open(&settings)?);
    let mut consumer = DefaultMQPushConsumer::builder(client.clone())
        .consumer_group(settings.group)
        .name_server_addr(format!("127.0.0.1:{}", settings.name_server))
        .consume_message_batch_max_size(settings.batch)
        .max_reconsume_times(settings.retries)
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .build();
    owner.block_on(async {
        consumer.subscribe(settings.topic, "*").await?;
        consumer.register_message_listener_concurrently(
            move |messages: &[&MessageExt], _: &ConsumeConcurrentlyContext| Ok(listener.consume(messages)),
        );
        consumer.start().await?;
        println!("READY");
        terminated().await;
        consumer.shutdown().await;
        client.shutdown().await;
        Outcome::Ok(())
    })?;
    owner.shutdown_runtime_blocking()?;
    Ok(())
}

struct Listener {
    handler: Handler,
    mended: bool,
    journal: Journal,
    shop: Shop,
}

impl Listener {
    fn open(settings: &Settings) -> Outcome<Self> {
        let shop = Shop::open(&settings.directory, settings.postgres.as_deref());
        match &shop {
            Shop::Sqlite(_) => {
                let store = SqliteStore::open(settings.directory.join("keys.sqlite"));
                install(Runtime::new()?.block_on(store)?)?;
            }
            Shop::Postgres(pool, runtime) => install(runtime.block_on(PostgresStore::open_with(pool.clone()))?)?,
        }
        let (handler, mended) = (settings.handler, settings.mended);
        Ok(Self { handler, mended, journal: Journal::open(&settings.directory), shop })
    }

    /// Handles the messages of a batch, all at once. A status is for the whole batch: if one message has to come again, all do, and those
    /// that were handled are then replayed.
    fn consume(&self, messages: &[&MessageExt]) -> ConsumeConcurrentlyStatus {
        let batch = messages.len() as u32;
        let dispositions: Vec<Disposition> = std::thread::scope(|scope| {
            let calls: Vec<_> = messages.iter().map(|message| scope.spawn(|| self.handle(message, batch))).collect();
            calls.into_iter().map(|call| call.join().expect("a handler that doesn't panic")).collect()
        });
        let again = dispositions.into_iter().find(|disposition| *disposition != Disposition::Acknowledge);
        status(again.unwrap_or(Disposition::Acknowledge))
    }

    fn handle(&self, message: &MessageExt, batch: u32) -> Disposition {
        let property = |name: &'static str| message.property(&name.into()).map(|value| value.to_string());
        let id = business_key(property("KEYS").as_deref());
        let mut order = Order::read(id, &message.body().unwrap_or_default());
        if self.mended {
            order = order.failing(0).taking(Duration::ZERO, Duration::ZERO);
        }
        let sent = property("UNIQ_KEY").unwrap_or_default();
        let retry = message.reconsume_times();
        let delivery = self.journal.begin(order.id.as_deref(), &sent, retry, batch);
        self.handler.handle(&self.shop, &Delivery { journal: &self.journal, id: delivery, order, retry })
    }
}
