//! What README and the book show of a consumer: it compiles.

#![expect(dead_code, reason = "it is shown, and not run")]

use std::time::Duration;

use idem_runtime::consumer::{Disposition, disposition};

/// When a message that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

enum ChargeError {
    Unreadable(serde_json::Error),
    Idempotency(idem_runtime::Error),
}

impl idem_runtime::consumer::Refusal for ChargeError {
    fn refusal(&self) -> Option<&idem_runtime::Error> {
        if let Self::Idempotency(error) = self { Some(error) } else { None }
    }

    fn is_final(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

/// Every broker's.
async fn handle<M>(_: &M) -> Result<(), ChargeError> {
    Ok(())
}

mod nats {
    use async_nats::Error;
    use async_nats::jetstream::{AckKind, Message};

    use super::*;

    async fn settle(message: Message) -> Result<(), Error> {
        match disposition(&handle(&message).await) {
            Disposition::Acknowledge => message.double_ack().await?,
            Disposition::Retry { after } => message.double_ack_with(AckKind::Nak(Some(after.unwrap_or(RETRY)))).await?,
            Disposition::DeadLetter => bury(&message).await?,
        }
        Ok(())
    }

    async fn bury(message: &Message) -> Result<(), Error> {
        message.double_ack_with(AckKind::Term).await
    }
}

mod rabbitmq {
    use lapin::Error;
    use lapin::message::Delivery;
    use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};

    use super::*;

    async fn settle(message: Delivery) -> Result<(), Error> {
        let told = match disposition(&handle(&message).await) {
            Disposition::Acknowledge => message.ack(BasicAckOptions::default()).await?,
            Disposition::Retry { after } => {
                tokio::time::sleep(after.unwrap_or(RETRY)).await;
                match after {
                    Some(_) => message.nack(BasicNackOptions { requeue: true, multiple: false }).await?,
                    None => message.reject(BasicRejectOptions { requeue: true }).await?,
                }
            }
            Disposition::DeadLetter => message.reject(BasicRejectOptions { requeue: false }).await?,
        };
        if !told {
            eprintln!("not settled: the channel is closed");
        }
        Ok(())
    }
}

mod kafka {
    use rdkafka::config::RDKafkaLogLevel;
    use rdkafka::consumer::{CommitMode, Consumer, ConsumerContext, StreamConsumer};
    use rdkafka::error::KafkaResult;
    use rdkafka::message::BorrowedMessage;
    use rdkafka::{ClientConfig, ClientContext, Message, Offset};

    use super::*;

    struct Commits;

    impl ClientContext for Commits {
        fn log(&self, _: RDKafkaLogLevel, what: &str, message: &str) {
            eprintln!("{what}: {message}");
        }
    }

    impl ConsumerContext for Commits {}

    fn create(settings: &mut ClientConfig) -> KafkaResult<StreamConsumer<Commits>> {
        settings.set_log_level(RDKafkaLogLevel::Warning); // without a logger it would be less
        let consumer: StreamConsumer<Commits> = settings.create_with_context(Commits)?;
        Ok(consumer)
    }

    async fn consume(consumer: StreamConsumer<Commits>, topic: &str) -> KafkaResult<()> {
        loop {
            let message = consumer.recv().await?;
            match disposition(&handle(&message).await) {
                Disposition::Acknowledge => {}
                Disposition::Retry { after } => {
                    tokio::time::sleep(after.unwrap_or(RETRY)).await;
                    let offset = Offset::Offset(message.offset());
                    consumer.seek(topic, message.partition(), offset, Duration::from_secs(1))?;
                    continue;
                }
                Disposition::DeadLetter => bury(&message).await?,
            }
            consumer.commit_message(&message, CommitMode::Async)?;
        }
    }

    async fn bury(_: &BorrowedMessage<'_>) -> KafkaResult<()> {
        Ok(())
    }
}
