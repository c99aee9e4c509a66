//! The `KEYS` of a message as business keys.

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::order::Order;

use crate::{runs, settled, world};

#[test]
fn an_order_that_is_sent_with_other_keys_behind_its_own_is_charged_once() {
    let mut world = world(Handler::Lease);
    let _consumer = world.consumer();
    for keys in ["order-1 customer-7", "order-1 customer-8", "order-1"] {
        world.send(&Order::new(keys));
    }
    world.until("three messages are handled", |deliveries| settled(deliveries) == 3);
    assert_eq!(world.charged(), [("order-1".to_owned(), 1)].into());
}

#[test]
fn a_message_without_keys_is_never_run_and_comes_to_the_dead_letter_queue() {
    let mut world = world(Handler::Lease);
    world.settings().retries = 1;
    let _consumer = world.consumer();
    world.send(&Order { id: None, ..Order::new("") });
    world.until("it is delivered twice", |deliveries| {
        deliveries.iter().filter(|delivery| delivery.ended.is_some()).count() == 2
    });
    world.read_dead_letters();
    let _operator = world.consumer();
    let deliveries =
        world.until("it is a dead letter", |deliveries| deliveries.len() > 2 && deliveries[2].ended.is_some());
    assert_eq!(runs(&deliveries), 0);
    assert!(deliveries.iter().all(|delivery| delivery.outcome.as_deref().unwrap().contains("key")), "{deliveries:?}");
}
