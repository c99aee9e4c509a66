//! The bank's data: accounts, transfers, and receipts.

use std::fmt;
use std::str::FromStr;

use idem_tests::rng::Rng;
use serde::{Deserialize, Serialize};

pub(crate) const ACCOUNTS: u64 = 10;
/// The balance of each account at the beginning.
pub(crate) const OPENING: i64 = 1_000_000;

/// The transfer that a message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) id: u64,
    pub(crate) payer: u64,
    pub(crate) payee: u64,
    pub(crate) amount: i64,
}

impl Transfer {
    /// The transfer with this id. The same id always gives the same transfer.
    pub(crate) fn of(id: u64) -> Self {
        let mut rng = Rng::new(id);
        let payer = rng.below(ACCOUNTS);
        let payee = (payer + 1 + rng.below(ACCOUNTS - 1)) % ACCOUNTS;
        Self { id, payer, payee, amount: 1 + rng.below(1_000) as i64 }
    }
}

/// What the handler returns: how it booked a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) booking: i64,
    pub(crate) transfer: u64,
    /// Which run of the body made it.
    pub(crate) execution: String,
    pub(crate) payer_balance: i64,
    pub(crate) payee_balance: i64,
}

/// The form in which a worker acknowledges it.
impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { booking, transfer, execution, payer_balance, payee_balance } = self;
        write!(f, "{booking} {transfer} {execution} {payer_balance} {payee_balance}")
    }
}

impl FromStr for Receipt {
    type Err = Box<dyn std::error::Error>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<_> = text.split(' ').collect();
        let &[booking, transfer, execution, payer_balance, payee_balance] = words.as_slice() else {
            return Err(format!("not a receipt: {text}").into());
        };
        Ok(Self {
            booking: booking.parse()?,
            transfer: transfer.parse()?,
            execution: execution.to_owned(),
            payer_balance: payer_balance.parse()?,
            payee_balance: payee_balance.parse()?,
        })
    }
}

/// A row of the bank's books. The table has no constraint against booking a transfer twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) made: Transfer,
    pub(crate) receipt: Receipt,
}

/// Everything in the books.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) balances: Vec<i64>,
    pub(crate) bookings: Vec<Booking>,
}
