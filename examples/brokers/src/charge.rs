//! The handler: one attribute makes it charge an order once, whichever broker delivers it.

use std::sync::OnceLock;

use idem_runtime::consumer::Refusal;
use idem_runtime::{Outcome, Previous, idempotent};
use serde::{Deserialize, Serialize};

use crate::order::Order;
use crate::provider::Declined;
use crate::shop::Shop;

/// The result of a charge: it is recorded, and a duplicate gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// How much was charged.
    pub cents: u32,
}

/// Charges an order. `started` tells the caller, for its report, why the body ran; a handler of yours needs no such thing.
///
/// - `key`: the order's own id. A message's id would not do: a producer that sends the order again draws a new one.
/// - `fingerprint`: a message with another amount for the order is refused, not replayed.
/// - If a consumer dies between an effect and its record, another one charges the order again. So the provider gets a key by
///   which it recognises a repeated call: here the order's id, elsewhere `claim.derive("charge")`. If all effects are rows of
///   one database, `tx` has no such gap.
/// - `lease`: how long an order stays blocked if its consumer was killed. It is renewed while the handler runs.
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
    /// The handler took too long, and was cancelled.
    TimedOut,
    /// The handler was not run, or its outcome not recorded.
    Idempotency(idem_runtime::Error),
}

/// What `idem_runtime::consumer::disposition` has to know about an error.
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
