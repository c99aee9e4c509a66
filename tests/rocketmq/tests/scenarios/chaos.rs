//! Everything at once: orders are sent one to three times, some fail at first, and three consumers are killed one after the
//! other, for as long as `IDEM_CHAOS_SECONDS` says: 30, unless set. Then the charges are compared with the history.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::Consumer;
use idem_rocketmq::journal::Delivery;
use idem_rocketmq::order::Order;
use idem_rocketmq::shop::Charge;
use idem_tests::rng::Rng;

use crate::{settled_messages, world};

const CONSUMERS: usize = 3;
/// How many orders are sent per second: 2,000 in two minutes.
const ORDERS_A_SECOND: f64 = 2_000.0 / 120.0;
/// The greatest number of messages between two messages of the same order.
const APART: usize = 200;

/// The figures of a run.
struct History {
    orders: usize,
    messages: usize,
    kills: usize,
    deliveries: Vec<Delivery>,
    charges: Vec<Charge>,
}

fn chaos(handler: Handler) -> History {
    let seconds = std::env::var("IDEM_CHAOS_SECONDS").map_or(30.0, |seconds| seconds.parse().unwrap());
    let mut rng = Rng::new(20_261_125);
    let orders = (seconds * ORDERS_A_SECOND) as usize;
    let messages = messages(orders, &mut rng);
    let mut world = world(handler);
    let mut consumers: Vec<Consumer> = (0..CONSUMERS).map(|_| world.consumer()).collect();
    let mut killed = BTreeSet::new();
    let start = Instant::now();
    let mut next_kill = 1.0;
    for (nth, order) in messages.iter().enumerate() {
        let due = seconds * nth as f64 / messages.len() as f64;
        std::thread::sleep((start + Duration::from_secs_f64(due)).saturating_duration_since(Instant::now()));
        world.send(order);
        if due >= next_kill {
            let mut victim = consumers.swap_remove(rng.below(CONSUMERS as u64) as usize);
            killed.insert(victim.pid());
            victim.kill();
            consumers.push(world.consumer());
            next_kill += 2.0 + rng.below(2_000) as f64 / 1_000.0;
        }
    }
    let deliveries = world.until("all messages are handled, and nobody is at work", |deliveries| {
        settled_messages(deliveries) == messages.len()
            && deliveries.iter().all(|delivery| delivery.ended.is_some() || killed.contains(&delivery.pid))
    });
    let charges = world.charges();
    History { orders, messages: messages.len(), kills: killed.len(), deliveries, charges }
}

/// Each order one to three times, the next soon or somewhat later; every tenth fails at its message's first delivery.
fn messages(orders: usize, rng: &mut Rng) -> Vec<Order> {
    let mut placed = Vec::new();
    for nth in 0..orders {
        let milliseconds = |bound| Duration::from_millis(bound);
        let (before, after) = (milliseconds(rng.below(100)), milliseconds(rng.below(300)));
        let order = Order::new(format!("order-{nth}")).failing(i32::from(nth % 10 == 0)).taking(before, after);
        for _ in 0..=rng.below(3) {
            placed.push((2 * nth + rng.below(APART as u64) as usize, order.clone()));
        }
    }
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, order)| order).collect()
}

/// Why a message was delivered, and what the library did with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    FirstExecution,
    Replay,
    RunningDuplicate,
    RedeliveryAfterFailure,
    TakeoverAfterCrash,
    DiedBeforeTheBody,
    Other,
}

impl History {
    /// Counts the deliveries by their cause.
    fn causes(&self) -> BTreeMap<Cause, usize> {
        let mut causes = BTreeMap::new();
        for (nth, delivery) in self.deliveries.iter().enumerate() {
            *causes.entry(self.cause(nth, delivery)).or_default() += 1;
        }
        causes
    }

    fn cause(&self, nth: usize, delivery: &Delivery) -> Cause {
        match (delivery.ran, delivery.outcome.as_deref()) {
            (Some(_), _) => match delivery.previous.as_deref() {
                Some("First") => Cause::FirstExecution,
                Some("AfterFailure") => Cause::RedeliveryAfterFailure,
                Some(_) => Cause::TakeoverAfterCrash,
                // In tx mode a rolled-back call leaves nothing in the store, so the journal is asked.
                None => {
                    match self.deliveries[..nth].iter().rfind(|run| run.order == delivery.order && run.ran.is_some()) {
                        None => Cause::FirstExecution,
                        Some(before) if before.is("declined") => Cause::RedeliveryAfterFailure,
                        Some(_) => Cause::TakeoverAfterCrash,
                    }
                }
            },
            (None, Some("replayed")) => Cause::Replay,
            (None, Some("in progress")) => Cause::RunningDuplicate,
            (None, None) => Cause::DiedBeforeTheBody,
            (None, Some(_)) => Cause::Other,
        }
    }

    /// The charges beyond an order's first.
    fn repeats(&self) -> usize {
        self.charges.len() - self.charges.iter().map(|charge| &charge.order).collect::<BTreeSet<_>>().len()
    }

    /// The handler that made this charge.
    fn charging(&self, charge: &Charge) -> &Delivery {
        &self.deliveries[charge.delivery as usize - 1]
    }

    /// Charges that were made, though their handlers were killed before they returned.
    fn deaths_after_the_effect(&self) -> usize {
        self.charges.iter().filter(|charge| self.charging(charge).ended.is_none()).count()
    }

    /// The charges that were followed by another charge of the same order.
    fn repeated(&self) -> impl Iterator<Item = &Delivery> {
        let followed =
            |nth: usize, charge: &Charge| self.charges[nth + 1..].iter().any(|later| later.order == charge.order);
        let repeated = self.charges.iter().enumerate().filter(move |(nth, charge)| followed(*nth, charge));
        repeated.map(|(_, charge)| self.charging(charge))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let causes = self.causes();
        let count = |cause| causes.get(&cause).copied().unwrap_or_default();
        let ended = |outcome| self.deliveries.iter().filter(|delivery| delivery.is(outcome)).count();
        let died = self.deliveries.iter().filter(|delivery| delivery.ended.is_none()).count();
        writeln!(f, "| orders | messages | kills | deliveries |\n|---|---|---|---|")?;
        writeln!(f, "| {} | {} | {} | {} |\n", self.orders, self.messages, self.kills, self.deliveries.len())?;
        writeln!(f, "| delivery | count |\n|---|---|")?;
        for (name, count) in [
            ("first execution", count(Cause::FirstExecution)),
            ("replay", count(Cause::Replay)),
            ("running duplicate, sent back", count(Cause::RunningDuplicate)),
            ("redelivery after the handler's own failure", count(Cause::RedeliveryAfterFailure)),
            ("takeover after a crash", count(Cause::TakeoverAfterCrash)),
            ("killed before the body", count(Cause::DiedBeforeTheBody)),
            ("any other refusal", count(Cause::Other)),
            ("of all: executed", ended("executed")),
            ("of all: failed", ended("declined")),
            ("of all: killed", died),
            ("charges whose handler was killed before it returned", self.deaths_after_the_effect()),
            ("orders charged", self.charges.len() - self.repeats()),
            ("charges repeated", self.repeats()),
        ] {
            writeln!(f, "| {name} | {count} |")?;
        }
        Ok(())
    }
}

#[test]
fn in_chaos_no_order_is_lost_and_only_those_repeat_whose_handler_died_after_its_effect_in_lease_mode() {
    let history = chaos(Handler::PostgresLease);
    println!("Lease mode\n\n{history}");
    assert_eq!(history.charges.len() - history.repeats(), history.orders, "an order is lost");
    for delivery in history.repeated() {
        assert!(delivery.ended.is_none(), "charged again, though its handler lived: {delivery:?}");
    }
}

#[test]
fn in_chaos_every_order_is_charged_exactly_once_in_tx_mode() {
    let history = chaos(Handler::PostgresTx);
    println!("Tx mode\n\n{history}");
    assert_eq!((history.charges.len(), history.repeats()), (history.orders, 0));
}
