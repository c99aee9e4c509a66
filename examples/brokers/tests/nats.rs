//! The consumer of NATS JetStream, on a server of the tests' own.

mod common;

use std::future::{Future, pending};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, RetentionPolicy};
use async_nats::jetstream::{Context, Message};
use common::{Bench, Broker, Handled};
use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use idem_brokers::nats::{consume, settle, stage::Stage, stage::delivery};
use idem_brokers::order::Order;
use idem_brokers::provider::Trouble;
use idem_brokers::report::Event;
use idem_brokers::shop::Delivery;
use idem_runtime::consumer::Disposition;
use idem_tests::Gate;
use idem_tests::server::Nats;

impl Broker for Stage {
    async fn connect(address: &str) -> Self {
        Stage::open(address, "orders", Duration::from_secs(3)).await.unwrap()
    }

    async fn publish(&self, order: &Order) {
        self.send(order).await.unwrap();
    }

    async fn consume(&self, deliver: impl AsyncFn(Delivery<'_>) -> Handled, stop: impl Future<Output = ()>) {
        let handle = async |message: &Message| deliver(delivery(message)).await;
        consume(&self.jetstream, &self.consumer, handle, stop).await.unwrap();
    }

    async fn next_dead(&self) -> Vec<u8> {
        let settings = pull::Config { ack_policy: AckPolicy::None, ..Default::default() };
        let reader = self.dead.create_consumer(settings).await.unwrap();
        let message = reader.messages().await.unwrap().next().await.unwrap().unwrap();
        let headers = message.headers.as_ref().unwrap();
        assert!(headers.get("content-type").is_some(), "its headers come with it");
        assert!(headers.get("Nats-Msg-Id").is_none(), "but not those of its stream");
        message.payload.to_vec()
    }
}

async fn bench() -> (Bench<Stage>, Nats) {
    let server = Nats::start().await;
    (Bench::new(&server.url()).await, server)
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

/// JetStream has no queue of dead letters: a message that has used up `max_deliver` would never be delivered again.
#[tokio::test]
async fn the_consumer_has_no_limit_of_deliveries() {
    let (bench, _server) = bench().await;
    let limit = bench.broker.consumer.cached_info().config.max_deliver;
    assert!(limit < 1, "after {limit} deliveries an order is lost");
}

#[tokio::test]
async fn a_consumer_that_is_deleted_is_an_error_and_not_an_end() {
    let (bench, _server) = bench().await;
    let stage = &bench.broker;
    let handle = async |message: &Message| bench.deliver(delivery(message)).await;
    let consumed = consume(&stage.jetstream, &stage.consumer, handle, pending::<()>());
    let delete = async {
        stage.send(&Order::new("order-1", 500)).await.unwrap();
        bench.shop.report.settled(1).await;
        stage.jetstream.get_stream("orders").await.unwrap().delete_consumer("charge").await.unwrap();
    };
    let consumed = tokio::time::timeout(Duration::from_secs(60), join(consumed, delete)).await.expect("it ends").0;
    consumed.expect_err("nobody told it to stop");
}

/// `ack_wait` is shorter than the handler takes, so the message is delivered again while it is being handled.
#[tokio::test]
async fn a_handler_longer_than_ack_wait_is_not_run_beside_itself() {
    let (bench, _server) = bench().await;
    let gate = Gate::default();
    bench.shop.provider.expect("order-1", [Trouble::Waits(gate.clone())]);
    bench.broker.publish(&Order::new("order-1", 500)).await;
    bench
        .consuming(async || {
            bench.shop.report.counted(Event::InProgress, 1).await;
            gate.open();
            bench.shop.report.settled(1).await;
        })
        .await;
    assert_eq!(bench.shop.report.count(Event::Executed), 1);
    assert_eq!(bench.charge("order-1").attempt, 1);
}

/// The next message of the bench's stream.
async fn next(stage: &Stage) -> Message {
    stage.consumer.messages().await.unwrap().next().await.unwrap().unwrap()
}

/// The server is killed. `ack` alone is `Ok` all the same; the consumer's way of settling returns an error.
#[tokio::test]
async fn a_message_that_could_not_be_settled_is_an_error() {
    let (bench, server) = bench().await;
    bench.broker.publish(&Order::new("order-1", 500)).await;
    let message = next(&bench.broker).await;
    server.kill();
    message.ack().await.expect("it is Ok before anything is sent");
    let settled = [Disposition::Acknowledge, Disposition::Retry { after: None }, Disposition::DeadLetter]
        .map(|decided| settle(&bench.broker.jetstream, &message, decided));
    for settled in join_all(settled).await {
        settled.expect_err("no server has got it");
    }
}

/// With a running server, each way of settling a message is confirmed.
#[tokio::test]
async fn a_message_is_settled_once_the_server_says_so() {
    let (bench, _server) = bench().await;
    bench.broker.publish(&Order::new("order-1", 500)).await;
    for decided in [Disposition::Retry { after: Some(Duration::ZERO) }, Disposition::Acknowledge] {
        settle(&bench.broker.jetstream, &next(&bench.broker).await, decided).await.unwrap();
    }
    let mut consumer = bench.broker.consumer.clone();
    let info = consumer.info().await.unwrap();
    assert_eq!((info.num_pending, info.num_ack_pending), (0, 0));
}

/// The consumer is deleted. The server answers that nobody listens, and the client takes this for a confirmation. What reports the
/// deletion is the end of the stream of messages.
#[tokio::test]
async fn a_confirmation_by_a_consumer_that_is_deleted_can_not_be_relied_on() {
    let (bench, _server) = bench().await;
    bench.broker.publish(&Order::new("order-1", 500)).await;
    let message = next(&bench.broker).await;
    bench.broker.jetstream.get_stream("orders").await.unwrap().delete_consumer("charge").await.unwrap();
    message.double_ack().await.expect("the client returns an error now, which would be better");
}

/// Publishes an order, under the same message id each time. Returns whether the server accepts it as new.
async fn is_new(jetstream: &Context) -> bool {
    let order = Order::new("order-1", 500).body();
    let message = async || {
        let message = PublishMessage::build().payload(order.clone().into()).message_id("message-1");
        jetstream.send_publish("work", message).await?.await
    };
    loop {
        match message().await {
            Ok(answer) => return !answer.duplicate,
            // The client has not reconnected yet.
            Err(error) => eprintln!("not published: {error}"),
        }
    }
}

/// After a restart, the server has forgotten the ids of messages that a work queue has delivered, though its duplicate window is not
/// over.
#[tokio::test]
async fn an_order_that_the_server_takes_for_new_after_a_restart_is_charged_once() {
    let (mut bench, server) = bench().await;
    let jetstream = bench.broker.jetstream.clone();
    let work = stream::Config {
        name: "work".to_owned(),
        retention: RetentionPolicy::WorkQueue,
        duplicate_window: Duration::from_secs(120),
        ..Default::default()
    };
    let settings = pull::Config { durable_name: Some("work".to_owned()), ..Default::default() };
    bench.broker.consumer = jetstream.create_stream(work).await.unwrap().create_consumer(settings).await.unwrap();
    assert!(is_new(&jetstream).await);
    bench.consuming(|| bench.shop.report.counted(Event::Executed, 1)).await;
    assert!(!is_new(&jetstream).await, "the server knows its id");
    server.restart().await;
    assert!(is_new(&jetstream).await, "the server has forgotten it");
    bench.consuming(|| bench.shop.report.counted(Event::Replayed, 1)).await;
    bench.assert_counts(&[(Event::Executed, 1), (Event::Replayed, 1)]);
}

#[test]
fn the_example_charges_each_order_once() {
    common::the_example_charges_each_order_once(env!("CARGO_BIN_EXE_nats"));
}
