//! The consumer's loop for RabbitMQ.

pub mod stage;

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use idem_runtime::consumer::{Disposition, Refusal, disposition};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::{Connection, types::FieldTable};

/// How many messages are handled, or wait to be sent back, at a time.
const AT_ONCE: u16 = 16;

/// When a message that failed is sent back.
const RETRY: Duration = Duration::from_millis(500);

/// Handles messages until `stop`, and then finishes those that it has begun.
pub async fn consume<T, E: Refusal>(
    connection: &Connection,
    queue: &str,
    handle: impl AsyncFn(&Delivery) -> Result<T, E>,
    stop: impl Future,
) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(AT_ONCE, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let messages = channel.basic_consume(queue.into(), "".into(), options, arguments).await?;
    let handle_one = async |message| {
        let message = match message {
            Ok(message) => message,
            Err(error) => return eprintln!("the channel is lost: {error}"),
        };
        let settled = match disposition(&handle(&message).await) {
            Disposition::Acknowledge => message.ack(BasicAckOptions::default()).await,
            Disposition::Retry { after } => {
                // A message that is sent back is delivered at once, so it waits here: it is still the broker's.
                tokio::time::sleep(after.unwrap_or(RETRY)).await;
                // From RabbitMQ 4.3 on a reject uses up `x-delivery-limit`, and a nack, which says "not now", doesn't.
                match after {
                    Some(_) => message.nack(BasicNackOptions { requeue: true, multiple: false }).await,
                    None => message.reject(BasicRejectOptions { requeue: true }).await,
                }
            }
            // To the queue's dead-letter exchange.
            Disposition::DeadLetter => message.reject(BasicRejectOptions { requeue: false }).await,
        };
        if let Err(error) = settled {
            // It comes again, and what was handled is then replayed.
            eprintln!("not settled: {error}");
        }
    };
    messages.take_until(stop).for_each_concurrent(usize::from(AT_ONCE), handle_one).await;
    // Those that were fetched and not begun go back.
    channel.close(200, "stopped".into()).await
}
