//! The consumer is killed before it has told the broker how far it has got.

use std::time::Duration;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::World;
use idem_rocketmq::order::Order;

use crate::{PROGRAM, ended, settled};

const HANDLED: usize = 10;
const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(60);

/// How often orders were charged, by where their first handler was when it was killed.
#[derive(Debug, PartialEq, Eq)]
struct Charged {
    /// The handler had returned.
    handled: usize,
    /// The handler hadn't charged yet.
    before: usize,
    /// The handler had charged, and hadn't returned.
    after: usize,
}

/// Kills a consumer that is handling two orders, and has handled ten that came after them. Then starts another.
fn crash(handler: Handler) -> Charged {
    // With one queue, as the stored progress of a queue can't go beyond a message that is still being handled.
    let mut world = World::start(PROGRAM, handler, 1);
    world.send(&Order::new("after").taking(NOW, LONG));
    world.send(&Order::new("before").taking(LONG, NOW));
    for nth in 0..HANDLED {
        world.send(&Order::new(format!("handled-{nth}")));
    }
    let first = world.consumer();
    world.until("two are at work, and ten are handled", |deliveries| {
        let at_work = |order: &str| deliveries.iter().find(|delivery| delivery.is_of(order) && delivery.ran.is_some());
        at_work("after").is_some_and(|delivery| delivery.charged.is_some())
            && at_work("before").is_some()
            && ended(deliveries, "executed") == HANDLED
    });
    first.kill();

    world.settings().mended = true;
    let _second = world.consumer();
    world.until("all are delivered again and handled", |deliveries| settled(deliveries) == HANDLED + HANDLED + 2);
    let charged = world.charged();
    assert!((0..HANDLED).all(|nth| charged[&format!("handled-{nth}")] == charged["handled-0"]), "{charged:?}");
    Charged { handled: charged["handled-0"], before: charged["before"], after: charged["after"] }
}

#[test]
fn orders_that_were_handled_when_their_consumer_was_killed_are_charged_once_in_lease_mode() {
    // In the last case the first handler died between its effect and its record: lease mode can't prevent the second charge.
    assert_eq!(crash(Handler::Lease), Charged { handled: 1, before: 1, after: 2 });
}

#[test]
fn every_order_is_charged_once_in_tx_mode_wherever_its_handler_was_killed() {
    assert_eq!(crash(Handler::PostgresTx), Charged { handled: 1, before: 1, after: 1 });
}

#[test]
fn without_the_attribute_a_killed_consumers_orders_are_charged_twice() {
    assert_eq!(crash(Handler::Plain), Charged { handled: 2, before: 1, after: 2 });
}
