//! The consumer in `src/bin/charge.rs`, which users can copy.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::World;
use idem_rocketmq::order::Order;
use idem_tests::server::Process;

use crate::world;

/// How long the test waits for a line.
const PATIENCE: Duration = Duration::from_secs(90);

/// The consumer's process, and the lines of its output and of its log.
struct Consumer {
    process: Process,
    said: Receiver<String>,
    complained: Receiver<String>,
}

impl Consumer {
    fn start(world: &World) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_charge"));
        command.arg(world.name_server()).arg(world.directory().join("copied.sqlite"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(command);
        let said = lines(process.child().stdout.take().unwrap());
        let complained = lines(process.child().stderr.take().unwrap());
        Self { process, said, complained }
    }

    fn says(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("a line")
    }
}

/// Reads lines as they come, so that the process never waits for a reader.
fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            sender.send(line.unwrap()).ok();
        }
    });
    lines
}

#[test]
fn the_consumer_to_copy_charges_each_order_once() {
    let mut world = world(Handler::Lease);
    let mut consumer = Consumer::start(&world);
    for order in ["order-1", "order-1", "order-2 customer-7", "order-1", "order-2"] {
        world.send(&Order::new(order));
    }
    let mut charged = vec![consumer.says(), consumer.says()];

    // If an order were charged twice, its second line would come before this one, or before the end.
    world.send(&Order::new("order-3"));
    charged.push(consumer.says());
    charged.sort_unstable();
    let orders: Vec<&str> = charged.iter().map(|line| line.rsplit_once(" as ").unwrap().0).collect();
    assert_eq!(orders, ["charged 500 of order-1", "charged 500 of order-2", "charged 500 of order-3"]);

    let pid = consumer.process.child().id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(consumer.process.child().wait().unwrap().success());
    assert_eq!(consumer.said.recv().ok(), None);
}

/// The listener returned a success, but the client could not tell the broker. Only the client's log says so.
#[test]
fn the_consumer_to_copy_complains_of_progress_that_the_broker_did_not_hear_of() {
    let mut world = world(Handler::Lease);
    let consumer = Consumer::start(&world);
    world.send(&Order::new("order-1"));
    assert!(consumer.says().starts_with("charged 500 of order-1"));
    world.kill_broker();
    let is_told = |line: String| line.contains("updateConsumeOffsetToBroker exception");
    while !is_told(consumer.complained.recv_timeout(PATIENCE).expect("it complains")) {}
}
