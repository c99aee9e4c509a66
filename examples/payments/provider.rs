//! A payment provider that behaves as real ones do: it takes time, it fails now and then, and it recognises a repeated request by
//! its idempotency key.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::ledger::{Entry, Ledger};

/// One order in so many gets a time-out at its first try.
const FAILS_ONE_IN: u64 = 50;

/// One order in so many takes long.
const SLOW_ONE_IN: u64 = 500;

/// How many times as long it takes.
const SLOWNESS: u32 = 40;

pub(crate) struct Provider {
    books: Mutex<Books>,
    latency: Duration,
}

/// The provider's data.
pub(crate) struct Books {
    pub(crate) ledger: Ledger,
    /// How many repeated requests were recognised by their key.
    pub(crate) recognised: u64,
    /// The orders that have had their time-out.
    timed_out: HashSet<String>,
    /// When the ledger was opened, since 1970, and how many charges were made since: both together make the id of a charge.
    opened: Duration,
    charges: u64,
}

impl Provider {
    pub(crate) fn open(ledger: &Path, latency: Duration) -> io::Result<Self> {
        let ledger = Ledger::open(ledger)?;
        let opened = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let books = Books { ledger, recognised: 0, timed_out: HashSet::new(), opened, charges: 0 };
        Ok(Self { books: Mutex::new(books), latency })
    }

    /// Charges `cents`, and returns the charge's id. With the idempotency key of an earlier charge, it returns the id of that charge,
    /// and charges nothing.
    pub(crate) async fn charge(
        &self,
        idempotency_key: Option<String>,
        order: &str,
        cents: u64,
    ) -> Result<String, ProviderError> {
        let nature = fnv1a(order);
        let latency = if nature % SLOW_ONE_IN == 1 { self.latency * SLOWNESS } else { self.latency };

        // Half of the time passes before the charge and half after it, so that a crash hits handlers before and after their charge.
        sleep(latency / 2).await;
        let charge = {
            let mut books = self.lock();
            if nature.is_multiple_of(FAILS_ONE_IN) && books.timed_out.insert(order.to_owned()) {
                return Err(ProviderError::TimedOut);
            }
            books.charge(idempotency_key, order, cents)?
        };
        sleep(latency / 2).await;
        Ok(charge)
    }

    /// The ledger, as it is now.
    pub(crate) fn books(&self) -> io::Result<MutexGuard<'_, Books>> {
        let mut books = self.lock();
        books.ledger.catch_up()?;
        Ok(books)
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // After a panic in another thread the ledger is still right, as its file is.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    fn charge(&mut self, idempotency_key: Option<String>, order: &str, cents: u64) -> Result<String, ProviderError> {
        self.ledger.catch_up()?;
        if let Some(earlier) = idempotency_key.as_deref().and_then(|key| self.ledger.find(key)) {
            if earlier.cents != cents {
                return Err(ProviderError::KeyReused);
            }
            self.recognised += 1;
            return Ok(earlier.charge.clone());
        }
        self.charges += 1;
        let charge = format!("ch-{:x}-{}", self.opened.as_micros(), self.charges);
        self.ledger.append(&Entry { idempotency_key, order: order.to_owned(), cents, charge: charge.clone() })?;
        Ok(charge)
    }
}

/// FNV-1a: an order has the same troubles in every run and on every machine.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Why nothing was charged.
#[derive(Debug)]
pub(crate) enum ProviderError {
    /// A failure after which the request can be repeated.
    TimedOut,
    /// The idempotency key belongs to a charge of another amount.
    KeyReused,
    /// The ledger can't be read or written.
    Ledger(io::Error),
}

impl From<io::Error> for ProviderError {
    fn from(error: io::Error) -> Self {
        Self::Ledger(error)
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the provider timed out before it charged"),
            Self::KeyReused => f.write_str("the provider knows the idempotency key with another amount"),
            Self::Ledger(error) => write!(f, "the provider's ledger: {error}"),
        }
    }
}
