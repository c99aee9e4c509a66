//! The consumer's loop for NATS JetStream.

pub mod stage;

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use async_nats::jetstream::{AckKind, Context, Message, consumer::PullConsumer};
use futures_util::{FutureExt, StreamExt};
use idem_runtime::consumer::{Disposition, Refusal, disposition};

/// How many messages are handled at a time.
const AT_ONCE: usize = 16;

/// How long after a failure a message is delivered again. After a nak without a delay it comes at once.
const RETRY: Duration = Duration::from_secs(2);

/// Handles messages until `stop`, and then finishes those that it has begun. The end of the stream of messages is an error.
pub async fn consume<T, E: Refusal>(
    jetstream: &Context,
    consumer: &PullConsumer,
    handle: impl AsyncFn(&Message) -> Result<T, E>,
    stop: impl Future,
) -> Result<(), async_nats::Error> {
    // As many messages wait here as are being handled, and `ack_wait` runs for them too: it has to outlast two handlers.
    let messages = consumer.stream().max_messages_per_batch(AT_ONCE).messages().await?;
    let handle_one = async |message| {
        let message = match message {
            Ok(message) => message,
            Err(error) => return eprintln!("the connection limps: {error}"),
        };
        // A handler that panics counts as failed, and the other handlers go on.
        let result = AssertUnwindSafe(handle(&message)).catch_unwind().await;
        let decided = result.map_or(Disposition::Retry { after: None }, |result| disposition(&result));
        if let Err(error) = settle(jetstream, &message, decided).await {
            // The message is delivered again after `ack_wait`. If it was handled, its result is then replayed.
            eprintln!("not settled: {error}");
        }
    };
    let mut stopped = false;
    let stop = stop.map(|_| stopped = true);
    messages.take_until(stop).for_each_concurrent(AT_ONCE, handle_one).await;
    if stopped { Ok(()) } else { Err("there are no more messages: is the consumer gone?".into()) }
}

/// Tells the server how to go on with a message, and waits for its confirmation. `ack` alone is Ok before anything is sent.
pub async fn settle(jetstream: &Context, message: &Message, decided: Disposition) -> Result<(), async_nats::Error> {
    match decided {
        Disposition::Acknowledge => message.double_ack().await,
        Disposition::Retry { after } => message.double_ack_with(AckKind::Nak(Some(after.unwrap_or(RETRY)))).await,
        Disposition::DeadLetter => bury(jetstream, message).await,
    }
}

/// Sends a message that no redelivery can help to the stream of dead letters. A crash in between makes it arrive there twice.
async fn bury(jetstream: &Context, message: &Message) -> Result<(), async_nats::Error> {
    let mut headers = async_nats::HeaderMap::new();
    for (name, values) in message.headers.iter().flat_map(|headers| headers.iter()) {
        // The headers of NATS itself are about the stream that the message was in.
        let own = values.iter().filter(|_| !name.to_string().starts_with("Nats-"));
        own.for_each(|value| headers.append(name.clone(), value.clone()));
    }
    let (subject, payload) = (format!("dead.{}", message.subject), message.payload.clone());
    jetstream.publish_with_headers(subject, headers, payload).await?.await?;
    message.double_ack_with(AckKind::Term).await
}
