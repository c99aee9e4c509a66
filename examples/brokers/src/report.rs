//! Counts deliveries by their kind, so that a handler that fails can be told from a producer that sends again.
//!
//! A service gets the same counts from the library, without code of its own: `idempotency_calls_total`, by `event`.

use std::collections::{HashMap, HashSet};
use std::fmt;

use idem_runtime::consumer::{Disposition, disposition};
use idem_runtime::{Error, Outcome, Previous};
use tokio::sync::watch;

use crate::charge::ChargeError;
use crate::shop::Delivery;

/// The kind of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The first delivery of its order that ran the handler.
    Executed,
    /// A duplicate of an order that was charged.
    Replayed,
    /// A duplicate of an order that was being charged.
    InProgress,
    /// It ran the handler again after the handler's own failure.
    Redelivered,
    /// It ran the handler again after a run that was killed or cancelled.
    TakenOver,
    /// It was refused: it has no key, or is no order.
    Refused,
}

const LINES: [(Event, &str); 6] = [
    (Event::Executed, "first executions"),
    (Event::Replayed, "replays of completed orders"),
    (Event::InProgress, "duplicates of running orders"),
    (Event::Redelivered, "runs after the handler's own failure"),
    (Event::TakenOver, "takeovers after a crash or a time-out"),
    (Event::Refused, "refused"),
];

#[derive(Debug, Default)]
struct Counts {
    /// The number of deliveries, by their kind and by whether their message had been delivered before.
    deliveries: HashMap<(Event, bool), u64>,
    /// The messages that need no further delivery. The broker can deliver them again all the same.
    settled: HashSet<String>,
    failures: u64,
}

/// Counts deliveries.
#[derive(Debug, Default)]
pub struct Report(watch::Sender<Counts>);

impl Report {
    /// Counts a delivery. `started`: if it ran the handler, how the run before it ended.
    pub fn saw<T>(&self, delivery: &Delivery<'_>, started: Option<Previous>, result: &Result<Outcome<T>, ChargeError>) {
        let event = match (started, result) {
            (Some(Previous::First), _) => Event::Executed,
            (Some(Previous::AfterFailure), _) => Event::Redelivered,
            (Some(Previous::AfterCrash { .. }), _) => Event::TakenOver,
            (None, Ok(_)) => Event::Replayed,
            (None, Err(ChargeError::Idempotency(Error::InProgress { .. }))) => Event::InProgress,
            (None, Err(_)) => Event::Refused,
        };
        let settled = !matches!(disposition(result), Disposition::Retry { .. });
        self.0.send_modify(|counts| {
            *counts.deliveries.entry((event, delivery.redelivered)).or_default() += 1;
            if settled {
                counts.settled.insert(delivery.message.clone());
            }
            counts.failures += u64::from(started.is_some() && result.is_err());
        });
    }

    /// How many deliveries of this kind there were.
    pub fn count(&self, event: Event) -> u64 {
        self.count_of(event, false) + self.count_of(event, true)
    }

    /// Waits until there were so many deliveries of this kind.
    pub async fn counted(&self, event: Event, number: u64) {
        let mut counts = self.0.subscribe();
        while self.count(event) < number {
            counts.changed().await.expect("its sender is here");
        }
    }

    /// Waits until so many messages need no further delivery.
    pub async fn settled(&self, number: usize) {
        let mut counts = self.0.subscribe();
        counts.wait_for(|counts| counts.settled.len() >= number).await.expect("its sender is here");
    }

    fn count_of(&self, event: Event, redelivered: bool) -> u64 {
        self.0.borrow().deliveries.get(&(event, redelivered)).copied().unwrap_or(0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:38} message: new   again", "deliveries")?;
        for (event, name) in LINES {
            writeln!(f, "{name:38} {:12} {:7}", self.count_of(event, false), self.count_of(event, true))?;
        }
        let resent = self.count_of(Event::Replayed, false) + self.count_of(Event::InProgress, false);
        writeln!(f, "the producer sent {resent} orders again under a new message")?;
        write!(f, "the handler failed or was cancelled {} times", self.0.borrow().failures)
    }
}
