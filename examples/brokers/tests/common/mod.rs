//! Tests for every broker: a message comes twice, in each of the ways in which that happens, and its order is charged once.

#![allow(dead_code, reason = "each test program uses a part")]

use std::future::{Future, pending};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::{Either, join, select};
use idem_brokers::charge::{ChargeError, Receipt};
use idem_brokers::ledger::Charge;
use idem_brokers::order::Order;
use idem_brokers::provider::Trouble;
use idem_brokers::report::Event;
use idem_brokers::shop::{Delivery, Shop};
use idem_runtime::{Error, Outcome};
use idem_tests::Gate;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// How long a test waits for a server, or for a redelivery.
const PATIENCE: Duration = Duration::from_secs(60);

pub type Handled = Result<Outcome<Receipt>, ChargeError>;

/// What the tests need of a broker.
pub trait Broker: Sized {
    /// Whether it can deliver messages again for reasons of its own, so that there are more replays and more calls in progress.
    const MAY_REPEAT: bool = false;
    /// Whether it marks a message that it has delivered before.
    const MARKS_REDELIVERIES: bool = true;

    /// Connects to the server that a test has started.
    async fn connect(address: &str) -> Self;
    /// Sends an order, under a new message id.
    async fn publish(&self, order: &Order);
    /// Runs the example's consumer.
    async fn consume(&self, deliver: impl AsyncFn(Delivery<'_>) -> Handled, stop: impl Future<Output = ()>);
    /// Waits for the next message that was put aside.
    async fn next_dead(&self) -> Vec<u8>;
}

/// A broker, a shop, and the counts of the deliveries.
pub struct Bench<B> {
    pub broker: B,
    pub shop: Shop,
    address: String,
    folder: TempDir,
    not_yet: Mutex<Vec<(Instant, Duration)>>,
    replayed: Mutex<Vec<(Instant, bool)>>,
}

impl<B: Broker> Bench<B> {
    pub async fn new(address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            broker: B::connect(address).await,
            shop: Shop::open(folder.path(), Duration::ZERO).await.unwrap(),
            address: address.to_owned(),
            folder,
            not_yet: Mutex::default(),
            replayed: Mutex::default(),
        }
    }

    /// Runs the consumer and this script at the same time, and stops the consumer when the script ends.
    pub async fn consuming<T>(&self, script: impl AsyncFnOnce() -> T) -> T {
        let (done, stop) = oneshot::channel();
        let script = async {
            let result = script().await;
            done.send(()).expect("the consumer runs");
            result
        };
        let stop = async { drop(stop.await) };
        let consumer = self.broker.consume(async |delivery| self.deliver(delivery).await, stop);
        tokio::time::timeout(PATIENCE, join(consumer, script)).await.expect("it ends").1
    }

    pub async fn deliver(&self, delivery: Delivery<'_>) -> Handled {
        let redelivered = delivery.redelivered;
        let result = self.shop.deliver(delivery).await;
        match &result {
            Ok(Outcome::Replayed(_)) => self.replayed.lock().unwrap().push((Instant::now(), redelivered)),
            Err(ChargeError::Idempotency(Error::InProgress { retry_after, .. })) => {
                self.not_yet.lock().unwrap().push((Instant::now(), *retry_after));
            }
            _ => {}
        }
        result
    }

    /// Asserts that there were so many deliveries of these kinds, and none of another.
    #[track_caller]
    pub fn assert_counts(&self, expected: &[(Event, u64)]) {
        use Event::{Executed, InProgress, Redelivered, Refused, Replayed, TakenOver};
        for event in [Executed, Replayed, InProgress, Redelivered, TakenOver, Refused] {
            let expected = expected.iter().find(|(of, _)| *of == event).map_or(0, |(_, count)| *count);
            let count = self.shop.report.count(event);
            let is_repeat = matches!(event, Replayed | InProgress | Refused);
            let fits = if B::MAY_REPEAT && is_repeat { count >= expected } else { count == expected };
            assert!(fits, "{event:?}: {count} instead of {expected}");
        }
    }

    /// The charge of this order. Asserts that there is only one.
    #[track_caller]
    pub fn charge(&self, order: &str) -> Charge {
        let charges = self.shop.ledger.charges(order).unwrap();
        let [charge] = <[Charge; 1]>::try_from(charges).expect("the order is charged once");
        charge
    }

    /// Runs a consumer in a process of its own until it has reached this point, and kills it with SIGKILL.
    pub async fn kill_a_consumer(&self, when: When) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker", "--nocapture", "--quiet"])
            .env("IDEM_BROKERS_WORKER", format!("{when:?}"))
            .env("IDEM_BROKERS_ADDRESS", &self.address)
            .env("IDEM_BROKERS_FOLDER", self.folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let came_so_far = move || lines.any(|line| line.unwrap().ends_with(SO_FAR));
        assert!(tokio::task::spawn_blocking(came_so_far).await.unwrap(), "it comes so far");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The points at which a consumer is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    InTheHandler,
    BeforeTheAck,
}

/// The line that a worker prints when it is to be killed.
const SO_FAR: &str = "so far";

/// The process of a worker. In the test's own process it does nothing.
pub async fn worker<B: Broker>() {
    let Ok(when) = std::env::var("IDEM_BROKERS_WORKER") else { return };
    let folder = PathBuf::from(std::env::var_os("IDEM_BROKERS_FOLDER").unwrap());
    let broker = B::connect(&std::env::var("IDEM_BROKERS_ADDRESS").unwrap()).await;
    let shop = Shop::open(&folder, Duration::ZERO).await.unwrap();
    let gate = Gate::default();
    if when == format!("{:?}", When::InTheHandler) {
        shop.provider.expect("order-1", [Trouble::Waits(gate.clone())]);
    }
    let deliver = async |delivery: Delivery<'_>| {
        let result = shop.deliver(delivery).await;
        assert!(result.is_ok(), "{result:?}");
        println!("{SO_FAR}");
        // This delivery is never acknowledged.
        pending::<()>().await;
        result
    };
    let in_the_handler = async {
        gate.started().await;
        println!("{SO_FAR}");
        pending::<()>().await;
    };
    match select(pin!(broker.consume(deliver, pending())), pin!(in_the_handler)).await {
        Either::Left(_) | Either::Right(_) => unreachable!("it is killed"),
    }
}

pub async fn an_order_that_is_sent_again_is_charged_once(bench: &Bench<impl Broker>) {
    let order = Order::new("order-1", 500);
    bench.broker.publish(&order).await;
    bench
        .consuming(async || {
            bench.shop.report.settled(1).await;
            bench.broker.publish(&order).await;
            bench.shop.report.settled(2).await;
        })
        .await;
    bench.assert_counts(&[(Event::Executed, 1), (Event::Replayed, 1)]);
    assert_eq!(bench.charge("order-1"), Charge { cents: 500, attempt: 1, after: "nothing".to_owned() });
}

pub async fn a_handler_that_fails_twice_is_run_again_and_charges_once(bench: &Bench<impl Broker>) {
    bench.shop.provider.expect("order-1", [Trouble::Declined, Trouble::Declined]);
    bench.broker.publish(&Order::new("order-1", 500)).await;
    bench.consuming(|| bench.shop.report.settled(1)).await;
    bench.assert_counts(&[(Event::Executed, 1), (Event::Redelivered, 2)]);
    assert_eq!(bench.charge("order-1"), Charge { cents: 500, attempt: 3, after: "failure".to_owned() });
}

/// For brokers whose consumer handles several messages at a time.
pub async fn a_handler_that_panics_is_run_again_and_cancels_no_other(bench: &Bench<impl Broker>) {
    let gate = Gate::default();
    bench.shop.provider.expect("order-1", [Trouble::Waits(gate.clone())]);
    bench.shop.provider.expect("order-2", [Trouble::Panics]);
    bench.broker.publish(&Order::new("order-1", 500)).await;
    bench
        .consuming(async || {
            gate.started().await;
            bench.broker.publish(&Order::new("order-2", 500)).await;
            bench.shop.report.counted(Event::TakenOver, 1).await;
            gate.open();
            bench.shop.report.settled(2).await;
        })
        .await;
    assert_eq!(bench.charge("order-1"), Charge { cents: 500, attempt: 1, after: "nothing".to_owned() });
    assert_eq!(bench.charge("order-2"), Charge { cents: 500, attempt: 2, after: "crash".to_owned() });
}

pub async fn a_consumer_killed_before_its_ack_leaves_a_message_that_is_replayed<B: Broker>(bench: &Bench<B>) {
    bench.broker.publish(&Order::new("order-1", 500)).await;
    bench.kill_a_consumer(When::BeforeTheAck).await;
    bench.consuming(|| bench.shop.report.settled(1)).await;
    bench.assert_counts(&[(Event::Replayed, 1)]);
    assert_eq!(bench.replayed.lock().unwrap()[0].1, B::MARKS_REDELIVERIES);
    assert_eq!(bench.charge("order-1").attempt, 1);
}

pub async fn a_consumer_killed_in_its_handler_leaves_an_order_that_is_taken_over(bench: &Bench<impl Broker>) {
    bench.broker.publish(&Order::new("order-1", 500)).await;
    bench.kill_a_consumer(When::InTheHandler).await;
    bench.consuming(|| bench.shop.report.settled(1)).await;
    assert_eq!(bench.shop.report.count(Event::TakenOver), 1);
    assert_eq!(bench.charge("order-1"), Charge { cents: 500, attempt: 2, after: "crash".to_owned() });
}

/// For brokers that deliver the second message while the first is being handled.
pub async fn a_duplicate_of_a_running_order_comes_back_after_its_lease_and_is_replayed(bench: &Bench<impl Broker>) {
    let gate = Gate::default();
    bench.shop.provider.expect("order-1", [Trouble::Waits(gate.clone())]);
    let order = Order::new("order-1", 500);
    bench.broker.publish(&order).await;
    bench
        .consuming(async || {
            gate.started().await;
            bench.broker.publish(&order).await;
            bench.shop.report.counted(Event::InProgress, 1).await;
            gate.open();
            bench.shop.report.settled(2).await;
        })
        .await;
    bench.assert_counts(&[(Event::Executed, 1), (Event::InProgress, 1), (Event::Replayed, 1)]);
    let (refused, retry_after) = bench.not_yet.lock().unwrap()[0];
    let (replayed, _) = bench.replayed.lock().unwrap()[0];
    let came_back = replayed - refused;
    println!("was to come back in {retry_after:?}, and came in {came_back:?}");
    assert!(came_back > retry_after.mul_f64(0.9), "{came_back:?} is not {retry_after:?}");
    assert_eq!(bench.charge("order-1").attempt, 1);
}

pub async fn a_poison_message_is_put_aside_and_the_next_is_handled(bench: &Bench<impl Broker>) {
    let poison = Order::nameless(500);
    bench.broker.publish(&poison).await;
    bench.broker.publish(&Order::new("order-1", 500)).await;
    let dead = bench
        .consuming(async || {
            bench.shop.report.settled(2).await;
            bench.broker.next_dead().await
        })
        .await;
    assert_eq!(dead, poison.body());
    bench.assert_counts(&[(Event::Executed, 1), (Event::Refused, 1)]);
    assert_eq!(bench.shop.ledger.totals().unwrap(), (1, 1));
}

/// Runs the example as a user would.
pub fn the_example_charges_each_order_once(program: &str) {
    let output = Command::new(program).output().unwrap();
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    assert!(said.contains("ledger: 10 orders, 10 charges"), "{said}{complained}");
    println!("{said}");
}

/// Makes the tests for a broker. `$bench` is an expression for a new bench and its server.
#[macro_export]
macro_rules! every_broker {
    ($broker:ty, $bench:expr, [$($name:ident),* $(,)?]) => {
        /// Not a test of its own: the process of a consumer.
        #[tokio::test]
        async fn worker() {
            common::worker::<$broker>().await;
        }

        $(#[tokio::test]
        async fn $name() {
            let (bench, _server) = $bench.await;
            common::$name(&bench).await;
        })*
    };
}
