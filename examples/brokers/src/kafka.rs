//! The consumer's loop for Kafka.

pub mod stage;

use std::{future::Future, pin::pin, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt;
use idem_runtime::consumer::{Disposition, Refusal, disposition};
use rdkafka::consumer::{CommitMode, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientContext, Message, Offset, config::RDKafkaLogLevel, error::KafkaError, error::KafkaResult};

/// How long after a failure a message is tried again. Messages behind it in the consumer's partitions wait as long.
const RETRY: Duration = Duration::from_millis(500);

/// Handles messages of the topic, one at a time, until `stop` or an error. Messages that were not committed are delivered to
/// another consumer then. This one is closed at the end, as its position could be past such a message.
pub async fn consume<T, E: Refusal>(
    consumer: StreamConsumer<Commits>,
    topic: &str,
    dead: &FutureProducer,
    handle: impl AsyncFn(&BorrowedMessage<'_>) -> Result<T, E>,
    stop: impl Future,
) -> KafkaResult<()> {
    consumer.subscribe(&[topic])?;
    let mut messages = pin!(consumer.stream().take_until(stop));
    while let Some(message) = messages.next().await {
        let message = match message {
            Ok(message) => message,
            Err(error @ KafkaError::MessageConsumptionFatal(_)) => return Err(error),
            Err(error) => {
                eprintln!("the connection limps: {error}");
                continue;
            }
        };
        match disposition(&handle(&message).await) {
            Disposition::Acknowledge => {}
            Disposition::Retry { after } => {
                tokio::time::sleep(after.unwrap_or(RETRY)).await;
                // Goes back to the message. If it were skipped, the commit of the next would cover it.
                let offset = Offset::Offset(message.offset());
                consumer.seek(topic, message.partition(), offset, Duration::from_secs(1))?;
                continue;
            }
            Disposition::DeadLetter => bury(dead, &message).await?,
        }
        // Returns Ok before anything is sent: `Commits` is told the outcome.
        consumer.commit_message(&message, CommitMode::Async)?;
    }
    Ok(())
}

/// Sends a message that no redelivery can help to the topic for dead letters. A crash after it makes it arrive there twice.
async fn bury(dead: &FutureProducer, message: &BorrowedMessage<'_>) -> KafkaResult<()> {
    let topic = format!("{}.dead", message.topic());
    let headers = message.headers().map(BorrowedHeaders::detach);
    let record = FutureRecord { key: message.key(), payload: message.payload(), headers, ..FutureRecord::to(&topic) };
    dead.send(record, Duration::from_secs(5)).await.map(|_| ()).map_err(|(error, _)| error)
}

/// Counts commits that were refused: create the consumer with it, and with a log level that has warnings. rdkafka 0.39 only logs
/// them, and doesn't call `commit_callback`.
#[derive(Debug, Default)]
pub struct Commits {
    /// How many were refused. Their messages are delivered again, unless a later commit succeeds, and are then replayed.
    pub lost: AtomicU64,
}

impl ClientContext for Commits {
    fn log(&self, _: RDKafkaLogLevel, what: &str, message: &str) {
        if what == "COMMITFAIL" {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        eprintln!("{what}: {message}");
    }
}

impl ConsumerContext for Commits {}
