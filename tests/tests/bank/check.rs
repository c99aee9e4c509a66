//! Checks a run by what is left of it: the bank's books, the keys, the acknowledgements, and the history.

use std::collections::{BTreeMap, BTreeSet};

use crate::attempt::Point;
use crate::broker::{Acknowledged, COPIES};
use crate::failure::Again;
use crate::history::{Kind, Line};
use crate::ledger::{Booking, Books, OPENING, Receipt, Transfer};
use crate::worker::Mode;

/// What is left of a run.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) mode: Mode,
    pub(crate) transfers: u64,
    pub(crate) books: Books,
    /// The receipt of each transfer that a replay returned.
    pub(crate) records: BTreeMap<u64, Receipt>,
    /// How many keys are completed, and how many are not.
    pub(crate) keys: (u64, u64),
    pub(crate) acknowledged: Vec<Acknowledged>,
    pub(crate) history: String,
}

/// What was found in a run in which nothing is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Bookings that are recorded, but whose worker died before it learned of the record.
    pub(crate) unheard: usize,
    pub(crate) repeats: Repeats,
}

/// The number of bookings that were repeated by a later one, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repeats {
    /// The worker killed itself between its commit and the record.
    pub(crate) deliberate: usize,
    /// The worker was killed before its call returned.
    pub(crate) killed: usize,
    /// The caller got an error: the result isn't recorded, or the commit had no answer.
    pub(crate) told: usize,
}

impl Repeats {
    pub(crate) fn sum(&self) -> usize {
        self.deliberate + self.killed + self.told
    }
}

/// What the history says about executions and workers.
#[derive(Debug, Default)]
struct Past<'a> {
    committing: BTreeSet<&'a str>,
    recorded: BTreeSet<&'a str>,
    unanswered: BTreeSet<&'a str>,
    unrecorded: BTreeSet<&'a str>,
    dead: BTreeSet<&'a str>,
}

impl<'a> Past<'a> {
    fn read(history: &'a str) -> Self {
        let mut past = Self::default();
        for line in history.lines() {
            let line = Line::parse(line).unwrap_or_else(|| panic!("a line of the history: {line}"));
            let set = match line.kind {
                Kind::Commits => &mut past.committing,
                Kind::Recorded => &mut past.recorded,
                Kind::Again if line.is(Again::NotRecorded) || line.is(Again::Disconnected) => &mut past.unanswered,
                Kind::Dead => &mut past.dead,
                Kind::Dies if line.is(Point::Unrecorded) => &mut past.unrecorded,
                Kind::Again | Kind::Dies | Kind::Begins => continue,
            };
            set.insert(line.execution);
        }
        past
    }

    /// Counts a repeated booking under its reason. An error if there is none.
    fn explain(&self, execution: &str, repeats: &mut Repeats) -> Result<(), &'static str> {
        let (worker, _) = execution.split_once('.').ok_or("no execution has this name")?;
        if self.recorded.contains(execution) {
            return Err("its call had returned");
        }
        *match () {
            () if self.unrecorded.contains(execution) => &mut repeats.deliberate,
            () if self.unanswered.contains(execution) => &mut repeats.told,
            () if self.dead.contains(worker) => &mut repeats.killed,
            () => return Err("nothing explains it"),
        } += 1;
        Ok(())
    }
}

/// Checks every rule. The error is a list of everything that is wrong.
pub(crate) fn judge(evidence: &Evidence) -> Result<Found, Vec<String>> {
    let mut wrong = Vec::new();
    let Evidence { mode, transfers, books, records, keys, acknowledged, history } = evidence;
    let past = Past::read(history);
    let mut found = Found::default();

    let mut booked: BTreeMap<u64, Vec<&Booking>> = (0..*transfers).map(|transfer| (transfer, Vec::new())).collect();
    let mut balances = vec![OPENING; books.balances.len()];
    for booking in &books.bookings {
        let Transfer { id, payer, payee, amount } = booking.made;
        balances[payer as usize] -= amount;
        balances[payee as usize] += amount;
        if booking.made != Transfer::of(id) {
            wrong.push(format!("{booking:?} isn't what was asked for"));
        }
        let execution = booking.receipt.execution.as_str();
        if !past.committing.contains(execution) {
            wrong.push(format!("{booking:?} was never to be committed"));
        }
        found.unheard += usize::from(!past.recorded.contains(execution));
        booked.entry(id).or_default().push(booking);
    }
    if balances != books.balances {
        wrong.push(format!("the bookings add up to {balances:?}, and the accounts hold {:?}", books.balances));
    }

    for (transfer, bookings) in &booked {
        let Some(record) = records.get(transfer) else {
            wrong.push(format!("transfer {transfer} is not recorded, and booked {} times", bookings.len()));
            continue;
        };
        if !bookings.iter().any(|booking| booking.receipt == *record) {
            wrong.push(format!("transfer {transfer} is recorded as {record:?}, and booked as {bookings:?}"));
        }
        if *mode == Mode::Tx && bookings.len() > 1 {
            wrong.push(format!("transfer {transfer} was booked {} times: {bookings:?}", bookings.len()));
            continue;
        }
        for booking in bookings.iter().filter(|booking| booking.receipt != *record) {
            if let Err(why) = past.explain(&booking.receipt.execution, &mut found.repeats) {
                wrong.push(format!("{booking:?} was repeated, and {why}"));
            }
        }
    }

    let mut copies: BTreeMap<u64, u64> = BTreeMap::new();
    for Acknowledged { receipt, .. } in acknowledged {
        *copies.entry(receipt.transfer).or_default() += 1;
        if records.get(&receipt.transfer) != Some(receipt) {
            let record = records.get(&receipt.transfer);
            wrong.push(format!("{receipt:?} was acknowledged, and {record:?} is recorded"));
        }
    }
    if (0..*transfers).any(|transfer| copies.get(&transfer) != Some(&COPIES)) {
        wrong.push(format!("not every transfer was acknowledged {COPIES} times: {copies:?}"));
    }

    let kept: BTreeSet<_> = records.values().map(|record| record.execution.as_str()).collect();
    let lost: Vec<_> = past.recorded.difference(&kept).collect();
    if !lost.is_empty() {
        wrong.push(format!("these executions were recorded, and aren't any more: {lost:?}"));
    }
    if *keys != (*transfers, 0) {
        wrong.push(format!("of {transfers} keys, {} are completed and {} are not", keys.0, keys.1));
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}
