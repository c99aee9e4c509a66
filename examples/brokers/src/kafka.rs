//! The consumer's loop for Kafka.

pub mod stage;

use std::{future::Future, pin::pin, sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use futures_util::StreamExt;
use idem_runtime::consumer::{Disposition, Refusal, disposition};
use rdkafka::consumer::{CommitMode, Consumer, ConsumerContext, StreamConsumer};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientContext, Message, Offset, config::RDKafkaLogLevel, error::KafkaError, error::KafkaResult};

/// When a message that failed is tried again. Those behind it in the consumer's partitions wait, too.
const RETRY: Duration = Duration::from_millis(500);

/// Handles messages of the topic, one at a time, until `stop` or an error: what was not committed is delivered again, to
/// another consumer. This one is closed, as it could be past it.
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
                // A message that was skipped would be committed with the next.
                let offset = Offset::Offset(message.offset());
                consumer.seek(topic, message.partition(), offset, Duration::from_secs(1))?;
                continue;
            }
            Disposition::DeadLetter => bury(dead, &message).await?,
        }
        // Ok before anything is sent: `Commits` hears what came of it.
        consumer.commit_message(&message, CommitMode::Async)?;
    }
    Ok(())
}

/// To the topic for messages that no redelivery can help: twice, rather than not at all, if the process dies after it.
async fn bury(dead: &FutureProducer, message: &BorrowedMessage<'_>) -> KafkaResult<()> {
    let topic = format!("{}.dead", message.topic());
    let headers = message.headers().map(BorrowedHeaders::detach);
    let record = FutureRecord { key: message.key(), payload: message.payload(), headers, ..FutureRecord::to(&topic) };
    dead.send(record, Duration::from_secs(5)).await.map(|_| ()).map_err(|(error, _)| error)
}

/// Hears of commits that were refused: create the consumer with it, and with a log level that has warnings. rdkafka 0.39 tells
/// of them by its log alone, and calls no `commit_callback`.
#[derive(Debug, Default)]
pub struct Commits {
    /// How many were refused. Their messages come again, unless a later commit arrives; what was handled is then replayed.
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
