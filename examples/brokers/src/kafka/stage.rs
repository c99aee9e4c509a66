//! The consumers' settings of the example, and its producer.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

use crate::Fatal;
use crate::kafka::Commits;
use crate::order::{Order, message_id};
use crate::shop::Delivery;

/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection with two topics: one for orders, and one for messages that are put aside, whose name ends in `.dead`.
pub struct Stage {
    /// The topics of orders, and of messages that are put aside.
    pub producer: FutureProducer,
    topic: String,
    settings: ClientConfig,
    partitions: usize,
    sent: AtomicUsize,
    /// The last offset that was delivered, by partition.
    seen: Mutex<HashMap<i32, i64>>,
}

/// A cluster in this process, which the client library has for tests, with the topics.
pub fn cluster(topic: &str) -> Result<MockCluster<'static, DefaultProducerContext>, Fatal> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(topic, 2, 1)?;
    cluster.create_topic(&dead(topic), 1, 1)?;
    Ok(cluster)
}

fn dead(topic: &str) -> String {
    format!("{topic}.dead")
}

/// The topics on servers that others use too.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    names: [String; 2],
}

impl Topics {
    /// Creates them.
    pub async fn create(servers: &str, topic: &str) -> Result<Self, Fatal> {
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", servers).create()?;
        let names = [topic.to_owned(), dead(topic)];
        let new = |name, partitions| NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let created = admin.create_topics(&[new(&names[0], 2), new(&names[1], 1)], &AdminOptions::new()).await?;
        created.into_iter().collect::<Result<Vec<_>, _>>().map_err(|(name, code)| format!("{name}: {code}"))?;
        Ok(Self { admin, names })
    }

    /// Deletes them.
    pub async fn delete(self) -> Result<(), Fatal> {
        let names = self.names.each_ref().map(String::as_str);
        let deleted = self.admin.delete_topics(&names, &AdminOptions::new()).await?;
        deleted.into_iter().collect::<Result<Vec<_>, _>>().map_err(|(name, code)| format!("{name}: {code}"))?;
        Ok(())
    }
}

impl Stage {
    /// Connects.
    pub fn open(servers: &str, topic: &str) -> Result<Self, Fatal> {
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", servers);
        let producer: FutureProducer = settings.create()?;
        // With this log level, `Commits` gets warnings even if there is no logger.
        settings.set_log_level(RDKafkaLogLevel::Warning);
        settings.set("group.id", "charge");
        // No timer commits a message that is still being handled.
        settings.set("enable.auto.commit", "false");
        settings.set("auto.offset.reset", "earliest");
        // How long the partitions of a consumer that was killed have no other. It is the least that brokers accept by default.
        settings.set("session.timeout.ms", "6000").set("heartbeat.interval.ms", "500");
        // How long a handler and the delay before a retry may take. After that, another consumer gets the message.
        settings.set("max.poll.interval.ms", "300000");
        let consumer: StreamConsumer = settings.create()?;
        let partitions = consumer.fetch_metadata(Some(topic), PATIENCE)?.topics()[0].partitions().len().max(1);
        let (topic, sent, seen) = (topic.to_owned(), AtomicUsize::new(0), Mutex::default());
        Ok(Self { producer, topic, settings, partitions, sent, seen })
    }

    /// A new consumer. Each process of the group has one.
    pub fn consumer(&self) -> Result<StreamConsumer<Commits>, Fatal> {
        Ok(self.settings.create_with_context(Commits::default())?)
    }

    /// Publishes an order, under a new message id each time, to the partitions in turn. So two copies of an order can be handled at
    /// the same time, as they can if a producer doesn't choose the partition by the order's id.
    pub async fn send(&self, order: &Order) -> Result<(), Fatal> {
        let partition = self.sent.fetch_add(1, Ordering::Relaxed) % self.partitions;
        let (body, id) = (order.body(), message_id());
        let headers = OwnedHeaders::new().insert(Header { key: "message-id", value: Some(&id) });
        let record = FutureRecord::<(), _>::to(&self.topic).partition(partition as i32).payload(&body).headers(headers);
        self.producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// A message in the form that the shop takes. Its partition and offset identify it. Kafka doesn't say whether it was delivered
    /// before, so this looks at what was delivered to this process.
    pub fn delivery<'a>(&self, message: &'a BorrowedMessage<'_>) -> Delivery<'a> {
        let (partition, offset) = (message.partition(), message.offset());
        let mut seen = self.seen.lock().unwrap();
        let last = seen.entry(partition).or_insert(-1);
        let redelivered = offset <= *last;
        *last = offset.max(*last);
        Delivery { message: format!("{partition}/{offset}"), redelivered, body: message.payload().unwrap_or_default() }
    }
}
