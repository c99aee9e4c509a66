//! The consumer of RabbitMQ, on a server that the tests of this program share.

mod common;

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};

use common::{Bench, Broker, Handled};
use futures_util::StreamExt;
use idem_brokers::order::Order;
use idem_brokers::rabbitmq::{consume, stage::Stage, stage::delivery};
use idem_brokers::shop::Delivery;
use idem_tests::server::RabbitMq;
use lapin::message;
use lapin::options::BasicConsumeOptions;
use lapin::types::FieldTable;
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

/// A queue of the test's own, on a server that ends with the last test that uses it.
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
        a_consumer_killed_before_its_ack_leaves_a_message_that_is_replayed,
        a_consumer_killed_in_its_handler_leaves_an_order_that_is_taken_over,
        a_duplicate_of_a_running_order_comes_back_after_its_lease_and_is_replayed,
        a_poison_message_is_put_aside_and_the_next_is_handled,
    ]
);

#[test]
fn the_example_charges_each_order_once() {
    common::the_example_charges_each_order_once(env!("CARGO_BIN_EXE_rabbitmq"));
}
