//! The consumer's loop for RabbitMQ.

pub mod stage;

use std::{future::Future, io, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, StreamExt};
use idem_runtime::consumer::{Disposition, Refusal, disposition};
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::{Connection, message::Delivery};

/// How many messages are being handled, or wait to be sent back, at a time.
const AT_ONCE: u16 = 16;

/// How long after a failure a message is sent back.
const RETRY: Duration = Duration::from_secs(2);

/// Handles messages until `stop`, and then finishes those that it has begun. The end of the stream of messages is an error.
pub async fn consume<T, E: Refusal>(
    connection: &Connection,
    queue: &str,
    handle: impl AsyncFn(&Delivery) -> Result<T, E>,
    stop: impl Future,
) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(AT_ONCE, BasicQosOptions::default()).await?;
    let messages = channel.basic_consume(queue.into(), "".into(), Default::default(), Default::default()).await?;
    let handle_one = async |message| {
        let message = match message {
            Ok(message) => message,
            Err(error) => return eprintln!("the channel is lost: {error}"),
        };
        // A handler that panics counts as failed, and the other handlers go on.
        let result = AssertUnwindSafe(handle(&message)).catch_unwind().await;
        let decided = result.map_or(Disposition::Retry { after: None }, |result| disposition(&result));
        if let Err(error) = settle(&message, decided).await {
            // The message is delivered again. If it was handled, its result is then replayed.
            eprintln!("not settled: {error}");
        }
    };
    let mut stopped = false;
    let stop = stop.map(|_| stopped = true);
    messages.take_until(stop).for_each_concurrent(usize::from(AT_ONCE), handle_one).await;
    channel.close(200, "stopped".into()).await?;
    if stopped { Ok(()) } else { Err(io::Error::other("there are no more messages: is the queue gone?").into()) }
}

/// Tells the broker how to go on with a message. An error if the broker could not be told.
pub async fn settle(message: &Delivery, decided: Disposition) -> Result<(), lapin::Error> {
    let told = match decided {
        Disposition::Acknowledge => message.ack(BasicAckOptions::default()).await?,
        Disposition::Retry { after } => {
            // A message that is sent back is delivered again at once, so it is held here for a while, not acknowledged.
            tokio::time::sleep(after.unwrap_or(RETRY)).await;
            // From RabbitMQ 4.3 on, a reject counts towards `x-delivery-limit`, and a nack ("not now") doesn't.
            match after {
                Some(_) => message.nack(BasicNackOptions { requeue: true, multiple: false }).await?,
                None => message.reject(BasicRejectOptions { requeue: true }).await?,
            }
        }
        // The broker sends it to the queue's dead-letter exchange.
        Disposition::DeadLetter => message.reject(BasicRejectOptions { requeue: false }).await?,
    };
    // lapin returns `Ok(false)` on a channel that the server has closed: nothing was sent.
    if told { Ok(()) } else { Err(io::Error::other("its channel is closed").into()) }
}
