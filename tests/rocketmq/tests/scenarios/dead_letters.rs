//! The handler fails until the retries are used up. Then its bug is fixed, and the dead letters are delivered once more.

use idem_rocketmq::handlers::{Handler, SCOPE};
use idem_rocketmq::harness::{Consumer, World};
use idem_rocketmq::order::Order;
use idem_runtime::store::Key;
use idem_runtime::{IdempotencyStore, SqliteStore};

use crate::{ended, runs, settled, world};

const RETRIES: i32 = 2;
const ATTEMPTS: usize = 3;

/// Sends a message that fails at each delivery. Starts a consumer of the topic, and then one of the dead letters, whose handler is
/// fixed.
fn dead_letter(handler: Handler) -> (World, [Consumer; 2]) {
    let mut world = world(handler);
    world.settings().retries = RETRIES;
    let consumer = world.consumer();
    world.send(&Order::new("order").failing(i32::MAX));
    let deliveries = world.until("the retries are used up", |deliveries| ended(deliveries, "declined") == ATTEMPTS);
    assert_eq!(deliveries.iter().map(|delivery| delivery.retry).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(world.charges().is_empty());
    world.settings().mended = true;
    world.read_dead_letters();
    let mended = world.consumer();
    (world, [consumer, mended])
}

/// Each failure has freed the key, so the dead letter's handler runs.
fn runs_again(handler: Handler) {
    let (world, _consumers) = dead_letter(handler);
    let deliveries = world.until("the dead letter is handled", |deliveries| ended(deliveries, "executed") == 1);
    assert_eq!(runs(&deliveries), ATTEMPTS + 1);
    assert_eq!(world.charged(), [("order".to_owned(), 1)].into());
}

#[test]
fn a_dead_letter_runs_once_its_bug_is_mended_in_lease_mode() {
    runs_again(Handler::Lease);
}

#[test]
fn a_dead_letter_runs_once_its_bug_is_mended_in_tx_mode() {
    runs_again(Handler::Tx);
}

#[test]
fn a_dead_letter_whose_error_was_recorded_is_skipped_until_it_is_forgotten() {
    let (mut world, _consumers) = dead_letter(Handler::Recording);
    let deliveries = world.until("the dead letter is skipped", |deliveries| ended(deliveries, "declined") > ATTEMPTS);
    assert_eq!(runs(&deliveries), 1, "the retries were replays of the error, and so was the dead letter");

    forget(&world, "order");
    world.send(&Order::new("order"));
    world.until("it is handled when it comes again", |deliveries| settled(deliveries) == 1);
    assert_eq!(world.charged(), [("order".to_owned(), 1)].into());
}

/// Forgets the key of an order, as an operator does.
fn forget(world: &World, order: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(world.directory().join("keys.sqlite")).await.unwrap();
        let admin = store.admin().unwrap();
        let key = Key::of(order).unwrap();
        let (_, recorded) = admin.get(SCOPE, &key).await.unwrap().expect("the row of the key");
        assert!(recorded.is_some(), "the recorded error");
        admin.forget(SCOPE, &key).await.unwrap();
    });
}
