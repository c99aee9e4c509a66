//! The consumers' settings of the example, and its producer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

use crate::Fatal;
use crate::order::{Order, message_id};
use crate::shop::Delivery;

/// Of the orders. Those that were put aside are in `orders.dead`.
pub const TOPIC: &str = "orders";

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection with the topics.
pub struct Stage {
    /// Of orders, and of those that are put aside.
    pub producer: FutureProducer,
    settings: ClientConfig,
    partitions: usize,
    sent: AtomicUsize,
}

/// A cluster in this process, with the topics: the client library brings one for tests.
pub fn cluster() -> Result<MockCluster<'static, DefaultProducerContext>, Fatal> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(TOPIC, 2, 1)?;
    cluster.create_topic("orders.dead", 1, 1)?;
    Ok(cluster)
}

impl Stage {
    /// Connects.
    pub fn open(servers: &str) -> Result<Self, Fatal> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", servers);
        let producer: FutureProducer = settings.create()?;
        settings.set("group.id", "charge");
        // A message that is being handled is not committed by a timer.
        settings.set("enable.auto.commit", "false");
        settings.set("auto.offset.reset", "earliest");
        // How long the partitions of a consumer that was killed stay without one. The least that brokers take, unless they
        // are told to take less.
        settings.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500");
        // How long a handler, and then the delay of a retry, may take: after it, another consumer is given the message.
        settings.set("max.poll.interval.ms", "300000");
        let consumer: StreamConsumer = settings.create()?;
        let partitions = consumer.fetch_metadata(Some(TOPIC), PATIENCE)?.topics()[0].partitions().len().max(1);
        Ok(Self { producer, settings, partitions, sent: AtomicUsize::new(0) })
    }

    /// A new consumer, as each process of the group has one.
    pub fn consumer(&self) -> Result<StreamConsumer, Fatal> {
        Ok(self.settings.create()?)
    }

    /// Publishes an order, under a new message id each time, to each partition in turn: so two that are sent one after the
    /// other meet, as they do where a producer doesn't choose the partition by the order.
    pub async fn send(&self, order: &Order) -> Result<(), Fatal> {
        let partition = self.sent.fetch_add(1, Ordering::Relaxed) % self.partitions;
        let (body, id) = (order.body(), message_id());
        let headers = OwnedHeaders::new().insert(Header { key: "message-id", value: Some(&id) });
        let record = FutureRecord::<(), _>::to(TOPIC).partition(partition as i32).payload(&body).headers(headers);
        self.producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        Ok(())
    }
}

/// A message as the shop takes it. Its place tells which it is, and nothing whether it was delivered before.
pub fn delivery<'a>(message: &'a BorrowedMessage<'_>) -> Delivery<'a> {
    Delivery {
        message: format!("{}/{}", message.partition(), message.offset()),
        redelivered: None,
        body: message.payload().unwrap_or_default(),
    }
}
