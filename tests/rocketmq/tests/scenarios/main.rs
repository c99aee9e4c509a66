//! At-least-once delivery by rocketmq-rust's broker. Each scenario brings about one cause for which an order is delivered twice, and
//! counts the charges.

#![recursion_limit = "512"]

mod batch;
mod broker;
mod chaos;
mod copied;
mod crash;
mod dead_letters;
mod docs;
mod failure;
mod keys;
mod rebalance;
mod resend;
mod slow;

use std::collections::BTreeSet;

use idem_rocketmq::handlers::Handler;
use idem_rocketmq::harness::{Program, World};
use idem_rocketmq::journal::Delivery;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_idem-rocketmq"));

/// A broker and a shop, whose topic has four queues.
fn world(handler: Handler) -> World {
    World::start(PROGRAM, handler, 4)
}

/// How many of the deliveries ended in this way.
fn ended(deliveries: &[Delivery], outcome: &str) -> usize {
    deliveries.iter().filter(|delivery| delivery.is(outcome)).count()
}

/// How many of the deliveries ended with the answer that their order is charged.
fn settled(deliveries: &[Delivery]) -> usize {
    ["executed", "replayed", "CONSUME_SUCCESS"].iter().map(|outcome| ended(deliveries, outcome)).sum()
}

/// How many messages have such a delivery: the broker may forget these messages.
fn settled_messages(deliveries: &[Delivery]) -> usize {
    let told = deliveries.iter().filter(|delivery| delivery.is("executed") || delivery.is("replayed"));
    told.map(|delivery| &delivery.message).collect::<BTreeSet<_>>().len()
}

/// How many bodies ran.
fn runs(deliveries: &[Delivery]) -> usize {
    deliveries.iter().filter(|delivery| delivery.ran.is_some()).count()
}
