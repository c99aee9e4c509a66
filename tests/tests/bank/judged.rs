//! Tests of the checker: what is left of small runs that were made up, and the checker's verdict.

use std::collections::BTreeMap;

use crate::broker::{Acknowledged, COPIES};
use crate::check::{Evidence, Found, Repeats, judge};
use crate::ledger::{ACCOUNTS, Booking, Books, OPENING, Receipt, Transfer};
use crate::worker::Mode;

fn receipt(transfer: u64, execution: &str, booking: i64) -> Receipt {
    Receipt { booking, transfer, execution: execution.to_owned(), payer_balance: 0, payee_balance: 0 }
}

/// Two transfers, each booked once by worker 1.
fn sound(mode: Mode) -> Evidence {
    let mut evidence = Evidence {
        mode,
        transfers: 2,
        books: Books { balances: vec![OPENING; ACCOUNTS as usize], bookings: Vec::new() },
        records: BTreeMap::new(),
        keys: (2, 0),
        acknowledged: Vec::new(),
        history: String::new(),
    };
    for transfer in 0..2 {
        let receipt = receipt(transfer, &format!("1.{transfer}"), 100 + transfer as i64);
        evidence.books(&receipt);
        evidence.says(&format!("Recorded {transfer} {} -", receipt.execution));
        evidence.records.insert(transfer, receipt.clone());
        let replays = (0..COPIES).map(|nth| Acknowledged { replayed: nth > 0, receipt: receipt.clone() });
        evidence.acknowledged.extend(replays);
    }
    evidence
}

impl Evidence {
    /// Adds a body that ran, and whose transaction was committed.
    fn books(&mut self, receipt: &Receipt) {
        let made = Transfer::of(receipt.transfer);
        self.books.balances[made.payer as usize] -= made.amount;
        self.books.balances[made.payee as usize] += made.amount;
        self.books.bookings.push(Booking { made, receipt: receipt.clone() });
        for kind in ["Begins", "Commits"] {
            self.says(&format!("{kind} {} {} -", receipt.transfer, receipt.execution));
        }
    }

    fn says(&mut self, line: &str) {
        self.history += &format!("{line}\n");
    }

    /// The verdict about this run, if this happened in it too.
    fn but(mut self, happens: impl FnOnce(&mut Self)) -> Result<Found, String> {
        happens(&mut self);
        judge(&self).map_err(|wrong| wrong.join("\n"))
    }
}

#[track_caller]
fn found(verdict: Result<Found, String>, what: &str) {
    let wrong = verdict.expect_err(what);
    assert!(wrong.contains(what), "{wrong}");
}

#[test]
fn each_transfer_booked_once_is_sound() {
    assert_eq!(sound(Mode::Tx).but(|_| {}), Ok(Found::default()));
    assert_eq!(sound(Mode::Lease).but(|_| {}), Ok(Found::default()));
}

#[test]
fn r22_second_booking_is_found() {
    found(sound(Mode::Tx).but(|run| run.books(&receipt(0, "2.0", 7))), "booked 2 times");
}

#[test]
fn r22_lost_booking_is_found() {
    found(sound(Mode::Tx).but(|run| drop(run.books.bookings.pop())), "and booked as []");
}

#[test]
fn r22_half_a_transfer_is_found() {
    found(sound(Mode::Tx).but(|run| run.books.balances[3] += 1), "add up to");
}

#[test]
fn r22_booking_of_a_transaction_that_was_rolled_back_is_found() {
    let history = |run: &Evidence| run.history.replace("Commits 1 1.1 -\n", "");
    found(sound(Mode::Tx).but(|run| run.history = history(run)), "never to be committed");
}

#[test]
fn r22_record_of_another_execution_is_found() {
    found(sound(Mode::Tx).but(|run| drop(run.records.insert(1, receipt(1, "2.0", 101)))), "is recorded as");
}

#[test]
fn r22_missing_record_is_found() {
    found(sound(Mode::Tx).but(|run| drop(run.records.remove(&1))), "transfer 1 is not recorded");
}

#[test]
fn r22_pending_key_is_found() {
    found(sound(Mode::Tx).but(|run| run.keys = (2, 1)), "2 are completed and 1 are not");
}

#[test]
fn r04_receipt_of_another_booking_is_found() {
    found(sound(Mode::Tx).but(|run| run.acknowledged[1].receipt.booking += 1), "was acknowledged");
}

#[test]
fn r13_repeat_that_a_death_explains_is_sound() {
    let repeated = receipt(0, "2.0", 7);
    for (lines, repeats) in [
        (["Dies 0 2.0 Unrecorded", "Dead - 2 -"].as_slice(), Repeats { deliberate: 1, ..Repeats::default() }),
        (["Dead - 2 -"].as_slice(), Repeats { killed: 1, ..Repeats::default() }),
        (["Again 0 2.0 NotRecorded -"].as_slice(), Repeats { told: 1, ..Repeats::default() }),
    ] {
        let verdict = sound(Mode::Lease).but(|run| {
            run.books(&repeated);
            lines.iter().for_each(|line| run.says(line));
        });
        assert_eq!(verdict, Ok(Found { unheard: 1, repeats }));
    }
}

#[test]
fn r13_repeat_that_nothing_explains_is_found() {
    found(sound(Mode::Lease).but(|run| run.books(&receipt(0, "2.0", 7))), "nothing explains it");
    let verdict = sound(Mode::Lease).but(|run| {
        run.books(&receipt(0, "2.0", 7));
        run.says("Recorded 0 2.0 -");
        run.says("Dead - 2 -");
    });
    found(verdict, "its call had returned");
}
