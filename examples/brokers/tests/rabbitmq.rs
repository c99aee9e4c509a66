//! The consumer of RabbitMQ, on a server that the tests of this program share.

mod common;

use std::future::{Future, pending};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use common::{Bench, Broker, Handled};
use futures_util::StreamExt;
use futures_util::future::join;
use idem_brokers::order::Order;
use idem_brokers::rabbitmq::{consume, settle, stage::Stage, stage::delivery};
use idem_brokers::report::Event;
use idem_brokers::shop::Delivery;
use idem_runtime::consumer::Disposition;
use idem_tests::server::RabbitMq;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, message};
use tokio::sync::Mutex;

impl Broker for Stage {
    /// A URL and a queue.
    async fn connect(address: &str) -> Self {
        let (url, queue) = address.split_once(' ').unwrap();
        Stage::open(url, queue).await.unwrap()
    }

    async fn publish(&self, order: &Order) {
        self.send(order).await.unwrap();
    }

    async fn consume(&self, deliver: impl AsyncFn(Delivery<'_>) -> Handled, stop: impl Future<Output = ()>) {
        let handle = async |message: &message::Delivery| deliver(delivery(message)).await;
        consume(&self.connection, &self.queue, handle, stop).await.unwrap();
    }

    async fn next_dead(&self) -> Vec<u8> {
        let channel = self.connection.create_channel().await.unwrap();
        let (options, arguments) = (BasicConsumeOptions { no_ack: true, ..Default::default() }, FieldTable::default());
        let mut dead = channel.basic_consume((&*self.dead).into(), "".into(), options, arguments).await.unwrap();
        dead.next().await.unwrap().unwrap().data
    }
}

/// A queue of the test's own, on a shared server that ends with the last test that uses it.
async fn bench() -> (Bench<Stage>, Arc<RabbitMq>) {
    static SERVER: Mutex<Weak<RabbitMq>> = Mutex::const_new(Weak::new());
    static QUEUES: AtomicU32 = AtomicU32::new(0);
    let mut shared = SERVER.lock().await;
    let server = match shared.upgrade() {
        Some(server) => server,
        None => Arc::new(RabbitMq::start().await),
    };
    *shared = Arc::downgrade(&server);
    let queue = format!("orders-{}", QUEUES.fetch_add(1, Ordering::Relaxed));
    (Bench::new(&format!("{} {queue}", server.url())).await, server)
}

every_broker!(
    Stage,
    bench(),
    [
        an_order_that_is_sent_again_is_charged_once,
        a_handler_that_fails_twice_is_run_again_and_charges_once,
        a_handler_that_panics_is_run_again_and_cancels_no_other,
        a_consumer_killed_before_its_ack_leaves_a_message_that_is_replayed,
        a_consumer_killed_in_its_handler_leaves_an_order_that_is_taken_over,
        a_duplicate_of_a_running_order_comes_back_after_its_lease_and_is_replayed,
        a_poison_message_is_put_aside_and_the_next_is_handled,
    ]
);

#[tokio::test]
async fn a_queue_that_is_deleted_is_an_error_and_not_an_end() {
    let (bench, _server) = bench().await;
    let stage = &bench.broker;
    let handle = async |message: &message::Delivery| bench.deliver(delivery(message)).await;
    let consumed = consume(&stage.connection, &stage.queue, handle, pending::<()>());
    let delete = async {
        stage.send(&Order::new("order-1", 500)).await.unwrap();
        bench.shop.report.settled(1).await;
        let channel = stage.connection.create_channel().await.unwrap();
        channel.queue_delete((&*stage.queue).into(), QueueDeleteOptions::default()).await.unwrap();
    };
    let consumed = tokio::time::timeout(Duration::from_secs(60), join(consumed, delete)).await.expect("it ends").0;
    consumed.expect_err("nobody told it to stop");
}

/// The next message of the bench's queue, on a channel of its own.
async fn next(stage: &Stage) -> (Channel, message::Delivery) {
    let channel = stage.connection.create_channel().await.unwrap();
    let options = BasicConsumeOptions::default();
    let consumed = channel.basic_consume((&*stage.queue).into(), "".into(), options, FieldTable::default()).await;
    let message = consumed.unwrap().next().await.unwrap().unwrap();
    (channel, message)
}

/// The server closes the channel while the handler runs, as after a `consumer_timeout`. The client's `ack` returns no error then.
#[tokio::test]
async fn a_message_that_could_not_be_settled_is_an_error() {
    let (bench, _server) = bench().await;
    bench.broker.publish(&Order::new("order-1", 500)).await;
    let soon = Some(Duration::ZERO);
    for decided in [Disposition::Acknowledge, Disposition::Retry { after: soon }, Disposition::DeadLetter] {
        let (channel, message) = next(&bench.broker).await;
        let declared = QueueDeclareOptions { passive: true, ..Default::default() };
        channel.queue_declare("no such queue".into(), declared, FieldTable::default()).await.unwrap_err();
        let settled = settle(&message, decided).await;
        assert!(settled.is_err(), "{decided:?}: told to a channel that is closed");
    }
    bench.consuming(|| bench.shop.report.settled(1)).await;
    assert_eq!(bench.charge("order-1").attempt, 1);
}

/// The broker confirms each message that is published, or says that it didn't accept it.
#[tokio::test]
async fn an_order_that_the_broker_did_not_take_is_an_error() {
    let (bench, _server) = bench().await;
    let stage = &bench.broker;
    let channel = stage.connection.create_channel().await.unwrap();
    channel.queue_delete((&*stage.queue).into(), QueueDeleteOptions::default()).await.unwrap();
    stage.send(&Order::new("order-1", 500)).await.expect_err("no queue has it");
}

/// RabbitMQ doesn't deduplicate by the message id, so the business key has to do it.
#[tokio::test]
async fn an_order_that_is_sent_again_under_its_message_id_is_delivered_again_and_charged_once() {
    let (bench, _server) = bench().await;
    let channel = bench.broker.connection.create_channel().await.unwrap();
    let publish = async || {
        let properties = BasicProperties::default().with_message_id("message-1".into());
        let (queue, options) = ((&*bench.broker.queue).into(), BasicPublishOptions::default());
        let order = Order::new("order-1", 500).body();
        channel.basic_publish("".into(), queue, options, &order, properties).await.unwrap();
    };
    bench
        .consuming(async || {
            publish().await;
            bench.shop.report.settled(1).await;
            publish().await;
            bench.shop.report.counted(Event::Replayed, 1).await;
        })
        .await;
    bench.assert_counts(&[(Event::Executed, 1), (Event::Replayed, 1)]);
}

#[test]
fn the_example_charges_each_order_once() {
    common::the_example_charges_each_order_once(env!("CARGO_BIN_EXE_rabbitmq"));
}
