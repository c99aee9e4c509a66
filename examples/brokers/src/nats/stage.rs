//! The stream and the consumer of the example, and its producer.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, Context, Message, stream};

use crate::Fatal;
use crate::order::{Order, message_id};
use crate::shop::Delivery;

/// A connection with the streams and the consumer.
#[derive(Debug)]
pub struct Stage {
    /// The connection.
    pub jetstream: Context,
    /// The stream of the orders.
    pub consumer: PullConsumer,
    /// The stream of the messages that were put aside.
    pub dead: stream::Stream,
    name: String,
}

impl Stage {
    /// Connects, and creates a stream of this name, and one for messages that are put aside. A message that was not acknowledged is
    /// delivered again after `ack_wait`.
    pub async fn open(url: &str, name: &str, ack_wait: Duration) -> Result<Self, Fatal> {
        let jetstream = jetstream::new(async_nats::connect(url).await?);
        let stream = |name: String, subject| stream::Config { name, subjects: vec![subject], ..Default::default() };
        let orders = jetstream.get_or_create_stream(stream(name.to_owned(), format!("{name}.>"))).await?;
        let dead = jetstream.get_or_create_stream(stream(dead(name), format!("dead.{name}.>"))).await?;
        let settings = pull::Config {
            durable_name: Some("charge".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            // No `max_deliver`: after so many deliveries, as in an outage, a message would stay in the stream and not be delivered again.
            ..Default::default()
        };
        let consumer = orders.get_or_create_consumer("charge", settings).await?;
        Ok(Self { jetstream, consumer, dead, name: name.to_owned() })
    }

    /// Publishes an order, under a new message id each time, as a producer does that got no answer. A stream drops messages whose id
    /// it has seen within its `duplicate_window`, so it drops none of these.
    pub async fn send(&self, order: &Order) -> Result<(), Fatal> {
        let message = jetstream::message::PublishMessage::build().payload(order.body().into()).message_id(message_id());
        let message = message.header("content-type", "application/json");
        self.jetstream.send_publish(format!("{}.new", self.name), message).await?.await?;
        Ok(())
    }

    /// Deletes both streams.
    pub async fn close(self) -> Result<(), Fatal> {
        self.jetstream.delete_stream(dead(&self.name)).await?;
        self.jetstream.delete_stream(self.name).await?;
        Ok(())
    }
}

fn dead(name: &str) -> String {
    format!("{name}-dead")
}

/// A message in the form that the shop takes. The stream numbers its messages, and counts the deliveries of each.
pub fn delivery(message: &Message) -> Delivery<'_> {
    let info = message.info().expect("a message of a stream");
    Delivery { message: info.stream_sequence.to_string(), redelivered: info.delivered > 1, body: &message.payload }
}
