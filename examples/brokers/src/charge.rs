//! The handler: one attribute makes it charge an order once, whichever broker delivers it.

use std::sync::OnceLock;

use idem_runtime::consumer::Refusal;
use idem_runtime::{Outcome, Previous, idempotent};
use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::provider::Declined;
use crate::shop::Shop;

/// What is recorded of a charge, and what a duplicate gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// How much was charged.
    pub cents: u32,
}

/// Charges an order. `started` tells the caller, for its report, why the body ran; a handler of yours needs no such thing.
///
/// - `key`: the order's own id. A message's id would not do: a producer that sends again draws a new one.
/// - `fingerprint`: a message that says another amount for the order is refused, not replayed.
/// - A consumer that dies between an effect and its record leaves an order that is charged by another. So the provider is
///   given what it knows a repeated call by: here the order's id, elsewhere `claim.derive("charge")`. Where all that is done
///   are rows of one database, `tx` leaves no such gap.
/// - `lease`: how long an order stays with a consumer that was killed. It is renewed while the handler runs.
#[idempotent(
    key = "order.id",
    fingerprint = "order.cents",
    scope = "shop/charge",
    store = shop.store,
    claim = claim,
    lease = "2s"
)]
pub async fn charge(shop: &Shop, order: &Order, started: &OnceLock<Previous>) -> Result<Outcome<Receipt>, ChargeError> {
    started.get_or_init(|| claim.previous());
    let id = order.id.as_deref().unwrap_or_default();
    shop.provider.charge(id).await?;
    shop.ledger.enter(id, order.cents, claim)?;
    Ok(Receipt { cents: order.cents }.into())
}

/// Why an order was not charged by this delivery.
#[derive(Debug)]
pub enum ChargeError {
    /// The message is no order.
    Unreadable(serde_json::Error),
    /// The provider did not charge it.
    Declined(Declined),
    /// The ledger failed.
    Ledger(rusqlite::Error),
    /// It took too long, and was cancelled.
    TimedOut,
    /// The handler was not run, or its outcome not recorded.
    Idempotency(idem_runtime::Error),
}

/// What `idem_runtime::consumer::disposition` has to know of an error.
impl Refusal for ChargeError {
    fn refusal(&self) -> Option<&idem_runtime::Error> {
        match self {
            Self::Idempotency(error) => Some(error),
            _ => None,
        }
    }

    fn is_final(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

impl From<serde_json::Error> for ChargeError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<Declined> for ChargeError {
    fn from(error: Declined) -> Self {
        Self::Declined(error)
    }
}

impl From<rusqlite::Error> for ChargeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Ledger(error)
    }
}

impl From<idem_runtime::Error> for ChargeError {
    fn from(error: idem_runtime::Error) -> Self {
        Self::Idempotency(error)
    }
}
