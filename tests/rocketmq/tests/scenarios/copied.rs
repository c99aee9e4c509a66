//! The consumer that is there to be copied.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::order::Order;
use idem_tests::server::Process;

use crate::world;

#[test]
fn the_consumer_to_copy_charges_each_order_once() {
    let mut world = world(Handler::Lease);
    let mut command = Command::new(env!("CARGO_BIN_EXE_charge"));
    command.arg(world.name_server()).arg(world.directory().join("copied.sqlite")).stdout(Stdio::piped());
    let mut consumer = Process::spawn(command);
    let mut lines = BufReader::new(consumer.child().stdout.take().unwrap()).lines().map(Result::unwrap);
    for order in ["order-1", "order-1", "order-2 customer-7", "order-1", "order-2"] {
        world.send(&Order::new(order));
    }
    let mut charged: Vec<String> = lines.by_ref().take(2).collect();

    // A charge too many has its line before this one, or before the end.
    world.send(&Order::new("order-3"));
    charged.extend(lines.by_ref().take(1));
    charged.sort_unstable();
    let orders: Vec<&str> = charged.iter().map(|line| line.rsplit_once(" as ").unwrap().0).collect();
    assert_eq!(orders, ["charged 500 of order-1", "charged 500 of order-2", "charged 500 of order-3"]);

    let pid = consumer.child().id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(consumer.child().wait().unwrap().success());
    assert_eq!(lines.next(), None);
}
