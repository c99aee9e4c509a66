//! A listener is given 32 messages at once, and some are of one order.

use std::collections::BTreeSet;
use std::time::Duration;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::World;
use idem_rocketmq::journal::Delivery;
use idem_rocketmq::order::Order;

use crate::{PROGRAM, ended, runs, settled_messages};

const BATCH: usize = 32;
const ORDERS: usize = 20;

/// Runs the scenario until all messages were handled and so many were delivered again. Returns the deliveries.
fn batch(handler: Handler, again: usize) -> Vec<Delivery> {
    // With one queue, as only messages of one queue come in one batch.
    let mut world = World::start(PROGRAM, handler, 1);
    for nth in 0..BATCH {
        let takes = Duration::from_millis(100);
        world.send(&Order::new(format!("order-{}", nth % ORDERS)).taking(takes, Duration::ZERO));
    }
    world.settings().batch = BATCH as u32;
    let _consumer = world.consumer();
    let deliveries = world.until("all are handled", |deliveries| {
        settled_messages(deliveries) == BATCH && redelivered_messages(deliveries) == again
    });
    assert_eq!(deliveries[0].batch as usize, BATCH);
    assert_eq!(runs(&deliveries), ORDERS);
    assert!(world.charged().values().all(|&times| times == 1));
    deliveries
}

fn redelivered_messages(deliveries: &[Delivery]) -> usize {
    let again = deliveries.iter().filter(|delivery| delivery.retry > 0 && delivery.ended.is_some());
    again.map(|delivery| &delivery.message).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_batch_with_a_running_duplicate_is_sent_back_as_a_whole_and_replayed() {
    let deliveries = batch(Handler::Lease, BATCH);
    assert!(ended(&deliveries, "in progress") > 0);
}

#[test]
fn a_batch_whose_running_duplicates_wait_is_handled_by_one_delivery() {
    let deliveries = batch(Handler::Waiting, 0);
    assert_eq!(deliveries.len(), BATCH);
    assert_eq!((ended(&deliveries, "executed"), ended(&deliveries, "replayed")), (ORDERS, BATCH - ORDERS));
}

#[test]
fn a_batch_is_handled_by_one_delivery_in_tx_mode() {
    let deliveries = batch(Handler::Tx, 0);
    assert_eq!((ended(&deliveries, "executed"), ended(&deliveries, "replayed")), (ORDERS, BATCH - ORDERS));
}
