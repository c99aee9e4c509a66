//! The handler takes longer than the client waits for a listener: the message is sent back and comes again, while the
//! handler runs on.

use std::time::Duration;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::journal::Delivery;
use idem_rocketmq::order::Order;

use crate::{runs, world};

/// How long the client waits.
const LIMIT: Duration = Duration::from_secs(1);
/// How long the handler takes.
const TAKES: Duration = Duration::from_secs(12);
/// How many deliveries are being handled at the same time at least.
const OVERLAPPING: usize = 5;

/// Runs the scenario with one message until `enough`. Returns the deliveries, and how often the order was charged.
fn slow(handler: Handler, enough: impl Fn(&[Delivery]) -> bool) -> (Vec<Delivery>, usize) {
    let mut world = world(handler);
    world.settings().limit = LIMIT;
    let _consumer = world.consumer();
    world.send(&Order::new("order").taking(TAKES, Duration::ZERO));
    let deliveries = world.until("one message is delivered often enough", enough);
    assert!(deliveries.iter().all(|delivery| delivery.message == deliveries[0].message));
    (deliveries, world.charged()["order"])
}

/// Whether a delivery was replayed within the time that the client waits.
fn replayed(deliveries: &[Delivery]) -> bool {
    let limit = LIMIT.as_micros() as i64;
    deliveries.iter().any(|delivery| delivery.is("replayed") && delivery.ended.unwrap() - delivery.began < limit)
}

/// How many deliveries came while the first one was being handled.
fn overlapping(deliveries: &[Delivery]) -> usize {
    let first = deliveries.iter().find(|delivery| delivery.ran.is_some()).unwrap();
    deliveries.iter().filter(|delivery| delivery.began < first.ended.unwrap()).count()
}

#[test]
fn a_message_that_is_delivered_again_while_its_handler_runs_is_run_once_in_lease_mode() {
    let (deliveries, charged) = slow(Handler::Lease, replayed);
    assert!(overlapping(&deliveries) >= OVERLAPPING, "{deliveries:?}");
    assert_eq!((runs(&deliveries), charged), (1, 1));
    assert!(deliveries.iter().any(|delivery| delivery.is("in progress")));
}

#[test]
fn a_message_that_is_delivered_again_while_its_handler_runs_is_run_once_in_tx_mode() {
    let (deliveries, charged) = slow(Handler::Tx, replayed);
    assert!(overlapping(&deliveries) >= OVERLAPPING, "{deliveries:?}");
    assert_eq!((runs(&deliveries), charged), (1, 1));
}

#[test]
fn without_the_attribute_runs_of_one_message_overlap_and_each_charges() {
    let all_charged =
        |deliveries: &[Delivery]| deliveries.iter().filter(|run| run.ended.is_some()).count() >= OVERLAPPING;
    let (deliveries, charged) = slow(Handler::Plain, all_charged);
    assert!(overlapping(&deliveries) >= OVERLAPPING, "{deliveries:?}");
    assert!(charged >= OVERLAPPING);
}
