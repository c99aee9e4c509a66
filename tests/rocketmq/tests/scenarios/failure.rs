//! The handler fails, and the broker delivers again.

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::order::Order;

use crate::{ended, runs, settled, world};

/// Sends an order whose handler fails twice, and one that succeeds. Sends each again once it is charged. Returns how often they are
/// charged.
fn failure(handler: Handler) -> usize {
    let mut world = world(handler);
    let orders = [Order::new("flaky").failing(2), Order::new("sound")];
    let _consumer = world.consumer();
    for order in &orders {
        world.send(order);
    }
    let deliveries = world.until("both are charged", |deliveries| settled(deliveries) == 2);
    let flaky: Vec<_> = deliveries.iter().filter(|delivery| delivery.is_of("flaky")).collect();
    let outcomes: Vec<_> =
        flaky.iter().map(|delivery| (delivery.retry, delivery.outcome.as_deref().unwrap())).collect();
    assert_eq!(outcomes, [(0, "declined"), (1, "declined"), (2, "executed")]);
    assert!(
        flaky.iter().all(|delivery| delivery.message == flaky[0].message),
        "one id for all deliveries of a message"
    );
    if handler == Handler::Lease {
        let previous: Vec<_> = flaky.iter().map(|delivery| delivery.previous.as_deref().unwrap()).collect();
        assert_eq!(previous, ["First", "AfterFailure", "AfterFailure"]);
    }

    for order in &orders {
        world.send(order);
    }
    let deliveries = world.until("both are settled again", |deliveries| settled(deliveries) == 4);
    let charged = world.charged();
    assert_eq!(charged["flaky"], charged["sound"]);
    assert_eq!(ended(&deliveries, "executed"), 2 * charged["sound"]);
    assert_eq!(runs(&deliveries), ended(&deliveries, "executed") + ended(&deliveries, "declined"));
    charged["flaky"]
}

#[test]
fn a_handler_that_fails_twice_runs_a_third_time_and_charges_once_in_lease_mode() {
    assert_eq!(failure(Handler::Lease), 1);
}

#[test]
fn a_handler_that_fails_twice_runs_a_third_time_and_charges_once_in_tx_mode() {
    assert_eq!(failure(Handler::Tx), 1);
}

#[test]
fn without_the_attribute_a_handler_that_failed_twice_charges_at_each_sending() {
    assert_eq!(failure(Handler::Plain), 2);
}
