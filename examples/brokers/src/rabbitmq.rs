//! The consumer's loop for RabbitMQ.

pub mod stage;

use std::{future::Future, io, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt, StreamExt};
use idem_runtime::consumer::{Disposition, Refusal, disposition};
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::{Connection, message::Delivery};

/// How many messages are handled, or wait to be sent back, at a time.
const AT_ONCE: u16 = 16;

/// When a message that failed is sent back.
const RETRY: Duration = Duration::from_secs(2);

/// Handles messages until `stop`, and then finishes those that it has begun. That there are no more is an error.
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
        // A handler that panics has failed, and those that run beside it go on.
        let result = AssertUnwindSafe(handle(&message)).catch_unwind().await;
        let decided = result.map_or(Disposition::Retry { after: None }, |result| disposition(&result));
        if let Err(error) = settle(&message, decided).await {
            // It comes again, and what was handled is then replayed.
            eprintln!("not settled: {error}");
        }
    };
    let mut stopped = false;
    let stop = stop.map(|_| stopped = true);
    messages.take_until(stop).for_each_concurrent(usize::from(AT_ONCE), handle_one).await;
    channel.close(200, "stopped".into()).await?;
    if stopped { Ok(()) } else { Err(io::Error::other("there are no more messages: is the queue gone?").into()) }
}

/// Tells the broker what becomes of a message. That it was not told is an error.
pub async fn settle(message: &Delivery, decided: Disposition) -> Result<(), lapin::Error> {
    let told = match decided {
        Disposition::Acknowledge => message.ack(BasicAckOptions::default()).await?,
        Disposition::Retry { after } => {
            // A message that is sent back is delivered at once, so it waits here: it is still the broker's.
            tokio::time::sleep(after.unwrap_or(RETRY)).await;
            // From RabbitMQ 4.3 on a reject uses up `x-delivery-limit`, and a nack, which says "not now", doesn't.
            match after {
                Some(_) => message.nack(BasicNackOptions { requeue: true, multiple: false }).await?,
                None => message.reject(BasicRejectOptions { requeue: true }).await?,
            }
        }
        // To the queue's dead-letter exchange.
        Disposition::DeadLetter => message.reject(BasicRejectOptions { requeue: false }).await?,
    };
    // lapin says `Ok(false)` of a channel that the server has closed: nothing was sent.
    if told { Ok(()) } else { Err(io::Error::other("its channel is closed").into()) }
}
