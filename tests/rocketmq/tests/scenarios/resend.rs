//! The producer sends an order again, because it got no answer for the first message.

use std::collections::BTreeSet;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::order::Order;

use crate::{runs, settled, world};

/// Sends ten orders three times each. Returns how often each is charged.
fn resend(handler: Handler) -> usize {
    let mut world = world(handler);
    let _consumer = world.consumer();
    let orders: Vec<Order> = (0..10).map(|nth| Order::new(format!("order-{nth}"))).collect();
    for _ in 0..3 {
        for order in &orders {
            world.send(order);
        }
    }
    // A message that comes while another one of its order is being handled is sent back, and comes again.
    let deliveries = world.until("thirty messages are handled", |deliveries| settled(deliveries) == 30);
    let messages: BTreeSet<&str> = deliveries.iter().map(|delivery| delivery.message.as_str()).collect();
    assert_eq!(messages.len(), 30, "each sending has an id of its own");
    let charged = world.charged();
    let times = charged["order-0"];
    assert_eq!(charged.len(), orders.len());
    assert!(charged.values().all(|&count| count == times), "{charged:?}");
    assert_eq!(runs(&deliveries), times * orders.len());
    times
}

#[test]
fn an_order_that_is_sent_three_times_is_charged_once_in_lease_mode() {
    assert_eq!(resend(Handler::Lease), 1);
}

#[test]
fn an_order_that_is_sent_three_times_is_charged_once_in_tx_mode() {
    assert_eq!(resend(Handler::Tx), 1);
}

#[test]
fn a_handler_that_returns_the_clients_own_status_charges_once() {
    assert_eq!(resend(Handler::Status), 1);
}

#[test]
fn without_the_attribute_an_order_that_is_sent_three_times_is_charged_three_times() {
    assert_eq!(resend(Handler::Plain), 3);
}
