//! The broker and its name server are killed and started again: while handlers run and the producer sends, or together with
//! a consumer.

use std::time::Duration;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::World;
use idem_rocketmq::order::Order;

use crate::{PROGRAM, runs, settled, world};

const ORDERS: usize = 10;

/// Runs the scenario. Returns how many bodies ran, and how often each order was charged.
fn restart(handler: Handler) -> (usize, Vec<usize>) {
    let mut world = world(handler);
    let _consumer = world.consumer();
    for nth in 0..ORDERS {
        world.send(&Order::new(format!("before-{nth}")).taking(Duration::from_millis(300), Duration::ZERO));
    }
    world.until("handlers run", |deliveries| runs(deliveries) > 0);
    world.kill_broker();
    world.restart_broker();
    for nth in 0..ORDERS {
        world.send(&Order::new(format!("after-{nth}")));
    }
    let deliveries = world.until("all orders are charged", |_| world.charged().len() == 2 * ORDERS);
    (runs(&deliveries), world.charged().into_values().collect())
}

#[test]
fn a_broker_that_is_killed_and_started_again_loses_no_order_and_repeats_none_in_lease_mode() {
    assert_eq!(restart(Handler::Lease), (2 * ORDERS, vec![1; 2 * ORDERS]));
}

#[test]
fn a_broker_that_is_killed_and_started_again_loses_no_order_and_repeats_none_in_tx_mode() {
    assert_eq!(restart(Handler::Tx), (2 * ORDERS, vec![1; 2 * ORDERS]));
}

/// A consumer has handled all messages. It and the broker are killed before its progress is stored, and started again. Returns how
/// often each order was charged.
fn outage(handler: Handler) -> Vec<usize> {
    let mut world = World::start(PROGRAM, handler, 1);
    let first = world.consumer();
    for nth in 0..ORDERS {
        world.send(&Order::new(format!("order-{nth}")));
    }
    world.until("all orders are charged", |deliveries| settled(deliveries) == ORDERS);
    world.kill_broker();
    first.kill();
    world.restart_broker();
    let _second = world.consumer();
    world.until("all are delivered again", |deliveries| settled(deliveries) == 2 * ORDERS);
    world.charged().into_values().collect()
}

#[test]
fn orders_that_come_again_after_an_outage_are_charged_once_in_lease_mode() {
    assert_eq!(outage(Handler::Lease), [1; ORDERS]);
}

#[test]
fn orders_that_come_again_after_an_outage_are_charged_once_in_tx_mode() {
    assert_eq!(outage(Handler::Tx), [1; ORDERS]);
}

#[test]
fn without_the_attribute_orders_that_come_again_after_an_outage_are_charged_twice() {
    assert_eq!(outage(Handler::Plain), [2; ORDERS]);
}
