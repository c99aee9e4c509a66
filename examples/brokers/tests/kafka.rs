//! The consumer of Kafka, on a cluster in the tests' own process.

mod common;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Bench, Broker, Handled};
use futures_util::future::{FutureExt, join};
use idem_brokers::kafka::consume;
use idem_brokers::kafka::stage::{Stage, cluster};
use idem_brokers::order::Order;
use idem_brokers::provider::Trouble;
use idem_brokers::report::Event;
use idem_brokers::shop::Delivery;
use idem_tests::Gate;
use rdkafka::consumer::Consumer;
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(60);
const TOPIC: &str = "orders";

impl Broker for Stage {
    /// When a consumer joins the group late, it takes a partition from another. A commit of that one is then refused.
    const MAY_REPEAT: bool = true;
    const MARKS_REDELIVERIES: bool = false;

    async fn connect(address: &str) -> Self {
        Stage::open(address, TOPIC).unwrap()
    }

    async fn publish(&self, order: &Order) {
        self.send(order).await.unwrap();
    }

    /// Runs two consumers, so that two messages are handled at a time.
    async fn consume(&self, deliver: impl AsyncFn(Delivery<'_>) -> Handled, stop: impl Future<Output = ()>) {
        let stop = stop.shared();
        let one = || run(self, &deliver, stop.clone());
        join(one(), one()).await;
    }

    async fn next_dead(&self) -> Vec<u8> {
        let reader = self.consumer().unwrap();
        let mut start = TopicPartitionList::new();
        start.add_partition_offset("orders.dead", 0, Offset::Beginning).unwrap();
        reader.assign(&start).unwrap();
        let message = reader.recv().await.unwrap();
        assert_eq!(message.headers().unwrap().get(0).key, "message-id", "its headers come with it");
        message.payload().unwrap().to_vec()
    }
}

/// Runs the example's consumer.
async fn run(stage: &Stage, deliver: &impl AsyncFn(Delivery<'_>) -> Handled, stop: impl Future<Output = ()>) {
    let handle = async |message: &BorrowedMessage<'_>| deliver(stage.delivery(message)).await;
    consume(stage.consumer().unwrap(), TOPIC, &stage.producer, handle, stop).await.unwrap();
}

async fn bench() -> (Bench<Stage>, MockCluster<'static, DefaultProducerContext>) {
    let cluster = cluster(TOPIC).unwrap();
    (Bench::new(&cluster.bootstrap_servers()).await, cluster)
}

/// The offset that the group has committed for the first partition.
fn committed(stage: &Stage) -> Offset {
    let reader = stage.consumer().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition(TOPIC, 0);
    let answer = reader.committed_offsets(asked, PATIENCE).unwrap();
    answer.find_partition(TOPIC, 0).unwrap().offset()
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

#[tokio::test]
async fn nothing_is_committed_before_it_is_handled() {
    let (bench, _cluster) = bench().await;
    let gate = Gate::default();
    bench.shop.provider.expect("order-1", [Trouble::Waits(gate.clone())]);
    bench.broker.publish(&Order::new("order-1", 500)).await;
    let (done, stop) = oneshot::channel::<()>();
    let deliver = async |delivery: Delivery<'_>| bench.deliver(delivery).await;
    // With one consumer only, as a rebalance can make a commit fail.
    let consumer = run(&bench.broker, &deliver, stop.map(|_| ()));
    let script = async {
        gate.started().await;
        assert_eq!(committed(&bench.broker), Offset::Invalid);
        gate.open();
        bench.shop.report.settled(1).await;
        drop(done);
    };
    tokio::time::timeout(PATIENCE, join(consumer, script)).await.expect("it ends");
    let deadline = Instant::now() + PATIENCE;
    while committed(&bench.broker) != Offset::Offset(1) {
        assert!(Instant::now() < deadline, "it is committed");
    }
    assert_eq!(bench.charge("order-1").attempt, 1);
}

/// The topic for messages that are put aside can't be reached at first, and later it can.
#[tokio::test]
async fn a_message_that_could_not_be_put_aside_comes_again() {
    let (bench, _cluster) = bench().await;
    let poison = Order::nameless(500);
    bench.broker.publish(&poison).await;
    let mut settings = ClientConfig::new();
    let nowhere: FutureProducer =
        settings.set("bootstrap.servers", "127.0.0.1:1").set("message.timeout.ms", "100").create().unwrap();
    let handle = async |message: &BorrowedMessage<'_>| bench.deliver(bench.broker.delivery(message)).await;
    let consumer = bench.broker.consumer().unwrap();
    let consumed = consume(consumer, TOPIC, &nowhere, handle, std::future::pending::<()>());
    tokio::time::timeout(PATIENCE, consumed).await.expect("it ends").expect_err("it has nowhere to put it");
    let dead = bench.consuming(async || bench.broker.next_dead().await).await;
    assert_eq!(dead, poison.body());
}

/// If a message fails, the messages behind it wait, in its own partition and in the other.
#[tokio::test]
async fn no_message_is_passed_over_when_one_before_it_fails() {
    const MESSAGES: u32 = 40;
    let (bench, _cluster) = bench().await;
    for number in 0..MESSAGES {
        let order = format!("order-{number}");
        bench.broker.publish(&Order::new(&order, 500)).await;
        if number % 15 == 0 {
            bench.shop.provider.expect(&order, [Trouble::Declined]);
        }
    }
    let (done, stop) = oneshot::channel::<()>();
    let deliver = async |delivery: Delivery<'_>| bench.deliver(delivery).await;
    let consumer = run(&bench.broker, &deliver, stop.map(|_| ()));
    let script = async {
        bench.shop.report.settled(MESSAGES as usize).await;
        drop(done);
    };
    tokio::time::timeout(PATIENCE, join(consumer, script)).await.expect("it ends");
    assert_eq!(bench.shop.ledger.totals().unwrap(), (MESSAGES, MESSAGES));
    assert_eq!(bench.shop.report.count(Event::Redelivered), 3);
}

/// A second consumer joins while the first one is in its handler, and gets the message that is being handled.
#[tokio::test]
async fn a_rebalance_delivers_a_running_message_again_which_is_replayed() {
    let (bench, _cluster) = bench().await;
    let gate = Gate::default();
    bench.shop.provider.expect("order-1", [Trouble::Waits(gate.clone())]);
    bench.broker.publish(&Order::new("order-1", 500)).await;

    let (done, stop) = oneshot::channel::<()>();
    let stop = stop.map(|_| ()).shared();
    let deliver = async |delivery: Delivery<'_>| bench.deliver(delivery).await;
    let first = run(&bench.broker, &deliver, stop.clone());
    let second = async {
        gate.started().await;
        run(&bench.broker, &deliver, stop.clone()).await;
    };
    let script = async {
        bench.shop.report.counted(Event::InProgress, 1).await;
        gate.open();
        bench.shop.report.counted(Event::Replayed, 1).await;
        drop(done);
    };
    let all = async { tokio::join!(first, second, script) };
    tokio::time::timeout(PATIENCE, all).await.expect("it ends");

    assert_eq!(bench.shop.report.count(Event::Executed), 1);
    assert_eq!(bench.charge("order-1").attempt, 1);
}

/// The broker refuses a commit, as it does after a rebalance has given the partition to another consumer. `commit_message` was `Ok`.
#[tokio::test]
async fn a_commit_that_is_refused_is_heard_of() {
    let (bench, cluster) = bench().await;
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION]);
    bench.broker.publish(&Order::new("order-1", 500)).await;
    let consumer = bench.broker.consumer().unwrap();
    let commits = Arc::clone(consumer.context());
    let handle = async |message: &BorrowedMessage<'_>| bench.deliver(bench.broker.delivery(message)).await;
    let heard = async {
        while commits.lost.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let consumed = consume(consumer, TOPIC, &bench.broker.producer, handle, heard);
    tokio::time::timeout(PATIENCE, consumed).await.expect("it is heard of").unwrap();
    assert_eq!(bench.charge("order-1").attempt, 1);
}

/// An idempotent producer deduplicates its own repetitions of one `send`. It doesn't deduplicate a second `send` of the same order.
#[tokio::test]
async fn an_order_that_an_idempotent_producer_sends_twice_is_charged_once() {
    let (bench, cluster) = bench().await;
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", cluster.bootstrap_servers()).set("enable.idempotence", "true");
    let producer: FutureProducer = settings.create().unwrap();
    let order = Order::new("order-1", 500).body();
    for _ in 0..2 {
        let record = FutureRecord::<(), _>::to(TOPIC).partition(0).payload(&order);
        producer.send(record, PATIENCE).await.unwrap();
    }
    bench.consuming(|| bench.shop.report.settled(2)).await;
    bench.assert_counts(&[(Event::Executed, 1), (Event::Replayed, 1)]);
}

#[test]
fn the_example_charges_each_order_once() {
    common::the_example_charges_each_order_once(env!("CARGO_BIN_EXE_kafka"));
}
