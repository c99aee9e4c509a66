//! The counts of a run, and whether the ledger is right.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

use crate::delivery::Order;
use crate::provider::Books;

/// How many unreadable lines are reported one by one.
const NAMED: u64 = 10;

/// How a delivery ended.
pub(crate) enum Ending {
    /// This delivery charged its order.
    Executed,
    /// Its order had been charged before: the recorded receipt was returned.
    Replayed,
    /// It was put aside.
    Refused(Reason),
}

/// Why a delivery was put aside.
pub(crate) enum Reason {
    /// It has no order id, or one that can't be a key.
    NoKey,
    /// Its order is known with another amount.
    AnotherAmount,
    /// It failed too often.
    TooManyDeliveries,
}

/// A delivery that has ended.
pub(crate) struct Ended {
    pub(crate) line: u64,
    pub(crate) order: Order,
    pub(crate) ending: Ending,
    /// How often its order was being charged by another delivery.
    pub(crate) in_flight: u32,
    /// How often it failed, and was delivered again.
    pub(crate) failed: u32,
}

/// What became of the deliveries. Each ends once: `executed + replayed + refused` is `deliveries`.
pub(crate) struct Report {
    deliveries: u64,
    executed: u64,
    replayed: u64,
    in_flight: u64,
    failed_and_retried: u64,
    without_key: u64,
    with_another_amount: u64,
    given_up: u64,
    unreadable: u64,
    /// The amount for each order: that of the first line with the order's id.
    expected: HashMap<String, FirstSeen>,
    bar: ProgressBar,
}

#[derive(Clone, Copy)]
struct FirstSeen {
    line: u64,
    cents: u64,
}

impl Report {
    pub(crate) fn new(lines: Option<u64>) -> Self {
        // Draws on standard error, and only if that is a terminal.
        let bar = match lines {
            Some(lines) => {
                let style = ProgressStyle::with_template("{bar:40} {pos}/{len} deliveries, {eta} left");
                ProgressBar::new(lines).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            }
            None => {
                let style = ProgressStyle::with_template("{spinner} {pos} deliveries");
                ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
            }
        };
        Self {
            deliveries: 0,
            executed: 0,
            replayed: 0,
            in_flight: 0,
            failed_and_retried: 0,
            without_key: 0,
            with_another_amount: 0,
            given_up: 0,
            unreadable: 0,
            expected: HashMap::new(),
            bar,
        }
    }

    pub(crate) fn delivered(&mut self) {
        self.deliveries += 1;
    }

    /// An unreadable line may be an order that is then not charged. So it is reported, and the run does not succeed. The other orders
    /// are handled all the same.
    pub(crate) fn unreadable(&mut self, line: u64, error: &serde_json::Error) {
        self.unreadable += 1;
        self.bar.inc(1);
        if self.unreadable <= NAMED {
            // serde_json's line numbers count within this line, so they are left out.
            let (column, error) = (error.column(), error.to_string());
            let reason = error.rsplit_once(" at line ").map_or(error.as_str(), |(reason, _)| reason);
            self.bar.suspend(|| eprintln!("line {line} is no delivery, refused: {reason} at column {column}"));
        }
    }

    pub(crate) fn ended(&mut self, ended: Ended) {
        let Ended { line, order, ending, in_flight, failed } = ended;
        self.in_flight += u64::from(in_flight);
        self.failed_and_retried += u64::from(failed);
        match ending {
            Ending::Executed => self.executed += 1,
            Ending::Replayed => self.replayed += 1,
            Ending::Refused(Reason::NoKey) => self.without_key += 1,
            Ending::Refused(Reason::AnotherAmount) => self.with_another_amount += 1,
            Ending::Refused(Reason::TooManyDeliveries) => self.given_up += 1,
        }
        if let (Some(id), false) = (order.id, matches!(ending, Ending::Refused(Reason::NoKey))) {
            let seen = FirstSeen { line, cents: order.cents };
            // Deliveries end in any order.
            let first = self.expected.entry(id).or_insert(seen);
            if line < first.line {
                *first = seen;
            }
        }
        self.bar.inc(1);
    }

    fn refused(&self) -> u64 {
        self.without_key + self.with_another_amount + self.given_up + self.unreadable
    }

    fn expected_total(&self) -> u128 {
        self.expected.values().map(|order| u128::from(order.cents)).sum()
    }

    /// The charges in the ledger for the orders of this input. The ledger may hold charges of other inputs.
    fn ledger_total(&self, books: &Books) -> u128 {
        let entries = books.ledger.entries().iter();
        entries.filter(|entry| self.expected.contains_key(&entry.order)).map(|entry| u128::from(entry.cents)).sum()
    }

    /// The orders that were not charged exactly once with the right amount, and how often they were charged.
    fn wrong(&self, books: &Books) -> (usize, usize) {
        let mut charges: HashMap<&str, (usize, u64)> = HashMap::new();
        for entry in books.ledger.entries() {
            let (count, cents) = charges.entry(&entry.order).or_default();
            (*count, *cents) = (*count + 1, entry.cents);
        }
        let mut wrong = (0, 0);
        for (order, first) in &self.expected {
            let (count, cents) = charges.get(order.as_str()).copied().unwrap_or_default();
            wrong.0 += usize::from(count > 1);
            wrong.1 += usize::from(count == 0 || cents != first.cents);
        }
        wrong
    }

    pub(crate) fn is_settled(&self, books: &Books) -> bool {
        self.unreadable == 0 && self.given_up == 0 && self.wrong(books) == (0, 0)
    }

    /// One count per line, for scripts.
    pub(crate) fn counts(&self, books: &Books) -> String {
        self.bar.finish_and_clear();
        let counts = [
            ("deliveries", self.deliveries.into()),
            ("executed", self.executed.into()),
            ("replayed", self.replayed.into()),
            ("in flight", self.in_flight.into()),
            ("failed and retried", self.failed_and_retried.into()),
            ("refused", self.refused().into()),
            ("ledger total", self.ledger_total(books)),
            ("expected total", self.expected_total()),
        ];
        counts.into_iter().fold(String::new(), |mut text, (name, count): (_, u128)| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name} {count}");
            text
        })
    }

    /// What a human should know in addition.
    pub(crate) fn remarks(&self, books: &Books) -> Vec<String> {
        let mut remarks = Vec::new();
        let mut remark = |count: u64, text: String| {
            if count > 0 {
                remarks.push(text);
            }
        };
        let (repeated, missing) = self.wrong(books);
        let Self { without_key, with_another_amount, given_up, unreadable, .. } = self;
        remark(
            self.refused(),
            format!(
                "refused: {without_key} without an order id, {with_another_amount} with another amount than the order, \
                 {unreadable} unreadable, {given_up} given up"
            ),
        );
        let recognised = books.recognised;
        remark(recognised, format!("the provider recognised {recognised} repeated charges by their idempotency key"));
        remark(
            repeated as u64,
            format!("WRONG: {repeated} orders were charged more than once (--fresh starts with an empty ledger)"),
        );
        remark(missing as u64, format!("WRONG: {missing} orders were not charged, or not as their first line says"));
        remarks
    }
}

/// Prints to standard output. A reader that closes the pipe early (`| head -1`) is not an error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
