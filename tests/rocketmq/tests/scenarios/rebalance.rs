//! Consumers join a group while another one is handling messages. They get some of its queues, from the progress that it stored last.

use std::collections::BTreeSet;
use std::time::Duration;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::Consumer;
use idem_rocketmq::journal::Delivery;
use idem_rocketmq::order::Order;

use crate::{runs, settled_messages, world};

const ORDERS: usize = 8;
const TAKES: Duration = Duration::from_secs(5);

/// Two processes join while another is handling eight orders, and leave while eight more come. Returns the deliveries, and how often
/// an order was charged at most.
fn rebalance(handler: Handler) -> (Vec<Delivery>, usize) {
    let mut world = world(handler);
    for nth in 0..ORDERS {
        world.send(&Order::new(format!("joining-{nth}")).taking(TAKES, Duration::ZERO));
    }
    let mut first = world.consumer();
    world.until("all are at work", |deliveries| runs(deliveries) == ORDERS);
    let pid = first.pid();
    let joined = [world.consumer(), world.consumer()];
    world.until("one is delivered to another process meanwhile", |deliveries| {
        deliveries.iter().any(|delivery| delivery.pid != pid && at_once(delivery, deliveries))
    });
    world.until("all are handled", |deliveries| settled_messages(deliveries) == ORDERS);
    for nth in 0..ORDERS {
        world.send(&Order::new(format!("leaving-{nth}")));
    }
    joined.into_iter().for_each(Consumer::leave);
    let deliveries = world.until("all are handled", |deliveries| settled_messages(deliveries) == 2 * ORDERS);
    let charged = world.charged();
    assert_eq!(charged.len(), 2 * ORDERS);
    (deliveries, *charged.values().max().unwrap())
}

/// Whether another process was handling the message when it was delivered.
fn at_once(delivery: &Delivery, deliveries: &[Delivery]) -> bool {
    deliveries.iter().any(|other| {
        let held = other.began < delivery.began && other.ended.is_none_or(|ended| delivery.began < ended);
        other.message == delivery.message && other.pid != delivery.pid && held
    })
}

/// The orders for which two bodies ran at the same time.
fn overlaps(deliveries: &[Delivery]) -> BTreeSet<&str> {
    let others = |delivery: &Delivery| {
        deliveries
            .iter()
            .any(|other| other.pid != delivery.pid && other.order == delivery.order && other.overlaps(delivery))
    };
    deliveries.iter().filter(|delivery| others(delivery)).filter_map(|delivery| delivery.order.as_deref()).collect()
}

#[test]
fn an_order_that_two_consumers_have_at_once_is_run_by_one_in_lease_mode() {
    let (deliveries, charged) = rebalance(Handler::Lease);
    assert_eq!((runs(&deliveries), charged), (2 * ORDERS, 1));
}

#[test]
fn an_order_that_two_consumers_have_at_once_is_run_by_one_in_tx_mode() {
    let (deliveries, charged) = rebalance(Handler::PostgresTx);
    assert_eq!((runs(&deliveries), charged), (2 * ORDERS, 1));
}

#[test]
fn without_the_attribute_an_order_runs_in_two_consumers_at_once() {
    let (deliveries, charged) = rebalance(Handler::Plain);
    assert!(!overlaps(&deliveries).is_empty(), "{deliveries:?}");
    assert!(charged >= 2);
}
