//! The shop: what the handler uses, and the function that a consumer's loop calls for each message.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use idem_runtime::{Outcome, SqliteStore};
use tokio::time::timeout;

use crate::Fatal;
use crate::charge::{ChargeError, Receipt, charge};
use crate::ledger::Ledger;
use crate::order::Order;
use crate::provider::Provider;
use crate::report::Report;

/// A delivery of a broker.
#[derive(Clone, Debug)]
pub struct Delivery<'a> {
    /// The message's identity. It is the same if the broker delivers the message again, and another if the producer sends the order
    /// again.
    pub message: String,
    /// Whether it was delivered before, as far as that is known.
    pub redelivered: bool,
    /// An order.
    pub body: &'a [u8],
}

/// What the handler uses. Several shops, in several processes, can share one folder.
#[derive(Debug)]
pub struct Shop {
    /// The store of the keys.
    pub store: SqliteStore,
    /// The ledger of the charges.
    pub ledger: Ledger,
    /// The provider that charges.
    pub provider: Provider,
    /// The counts of the deliveries.
    pub report: Report,
    /// How long a handler may take.
    pub patience: Duration,
}

impl Shop {
    /// A shop that keeps its keys and its ledger in this folder.
    pub async fn open(folder: &Path, latency: Duration) -> Result<Self, Fatal> {
        Ok(Self {
            store: SqliteStore::open(folder.join("keys.sqlite")).await?,
            ledger: Ledger::open(&folder.join("ledger.sqlite"))?,
            provider: Provider::new(latency),
            report: Report::default(),
            patience: Duration::from_secs(30),
        })
    }

    /// Handles a message.
    pub async fn deliver(&self, delivery: Delivery<'_>) -> Result<Outcome<Receipt>, ChargeError> {
        let started = OnceLock::new();
        let handled = async {
            let order: Order = serde_json::from_slice(delivery.body)?;
            // If the handler is cancelled, its outcome is unknown. The next run sees that in `Claim::previous`.
            let charged = timeout(self.patience, charge(self, &order, &started)).await;
            charged.unwrap_or(Err(ChargeError::TimedOut))
        };
        let result = handled.await;
        self.report.saw(&delivery, started.get().copied(), &result);
        result
    }
}
