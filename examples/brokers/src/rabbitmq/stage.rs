//! The queues of the example, and its producer.

use lapin::message;
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};

use crate::Fatal;
use crate::order::{Order, message_id};
use crate::shop::Delivery;

/// A connection with the queues.
#[derive(Debug)]
pub struct Stage {
    /// The connection.
    pub connection: Connection,
    /// The queue of the orders.
    pub queue: String,
    /// The queue of the messages that were put aside.
    pub dead: String,
    channel: Channel,
}

impl Stage {
    /// Connects, and creates a queue of this name, and an exchange with a queue for messages that are put aside.
    pub async fn open(url: &str, queue: &str) -> Result<Self, Fatal> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;

        let dead = format!("{queue}.dead");
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare((&*dead).into(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare((&*dead).into(), durable, FieldTable::default()).await?;
        let bind = QueueBindOptions::default();
        channel.queue_bind((&*dead).into(), (&*dead).into(), "".into(), bind, FieldTable::default()).await?;

        let mut arguments = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(LongString::from(text));
        arguments.insert("x-queue-type".into(), text("quorum"));
        arguments.insert("x-dead-letter-exchange".into(), text(&dead));
        // The broker keeps a message until it has arrived at the other queue.
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        // After so many failures the broker puts a message aside too. With the consumer's delay between them, an outage may last
        // half an hour. Before RabbitMQ 4.3, duplicates of a running order count as well.
        arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000));
        channel.queue_declare(queue.into(), durable, arguments).await?;
        Ok(Self { connection, queue: queue.to_owned(), dead, channel })
    }

    /// Publishes an order, under a new message id each time, as a producer does that got no answer.
    pub async fn send(&self, order: &Order) -> Result<(), Fatal> {
        let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(message_id().into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let (exchange, body) = ("".into(), order.body());
        let published = self.channel.basic_publish(exchange, (&*self.queue).into(), options, &body, properties).await?;
        match published.await? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err("the broker sent the order back: its queue is gone".into()),
            _ => Err("the broker refused the order: its queue is full".into()),
        }
    }

    /// Deletes both queues, and the exchange.
    pub async fn close(self) -> Result<(), Fatal> {
        for queue in [&self.queue, &self.dead] {
            self.channel.queue_delete((&**queue).into(), QueueDeleteOptions::default()).await?;
        }
        self.channel.exchange_delete((&*self.dead).into(), ExchangeDeleteOptions::default()).await?;
        Ok(())
    }
}

/// A message in the form that the shop takes. Only the producer's message id identifies it.
pub fn delivery(message: &message::Delivery) -> Delivery<'_> {
    let id = message.properties.message_id().as_ref();
    Delivery {
        message: id.map(ToString::to_string).unwrap_or_default(),
        redelivered: message.redelivered,
        body: &message.data,
    }
}
