//! The handler: one attribute makes it charge an order once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use idem_runtime::consumer::Refusal;
use idem_runtime::{AnyStore, Outcome, idempotent};
use serde::{Deserialize, Serialize};

use crate::delivery::Order;
use crate::provider::{Provider, ProviderError};

/// The store and the provider that the handler uses.
pub(crate) struct Shop {
    pub(crate) store: AnyStore,
    pub(crate) provider: Provider,
    pub(crate) derives_keys: bool,
    pub(crate) crash: Crash,
}

/// The result of a charge: it is recorded, and a duplicate gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    /// The provider's name for the charge.
    pub(crate) charge: String,
    pub(crate) cents: u64,
}

/// The scope of the handler below. `keys.rs` looks at its keys.
pub(crate) const SCOPE: &str = "payments/charge";

/// Charges an order.
///
/// - `key`: the order's own id. A message id would not do: a producer that sends again after a time-out draws a new one.
/// - `fingerprint`: one order has one amount. A message with another amount is refused, not replayed.
/// - `scope`: the name of these keys. It stays the same if the function is renamed.
/// - `lease`: how long the orders of a process that died stay blocked. It is renewed while the handler runs, so it may be
///   shorter than a slow charge.
/// - `wait`: a duplicate of an order that is being charged waits this long for its receipt, before it goes back to the broker.
/// - An `Err` frees the order at once (`on_error = "release"`, the default). Here this is right, as this provider fails before
///   it charges.
#[idempotent(
    key = "order.id",
    fingerprint = "order.cents",
    scope = SCOPE,
    store = shop.store,
    claim = claim,
    lease = "2s",
    wait = "100ms"
)]
pub(crate) async fn charge(shop: &Shop, order: &Order) -> Result<Outcome<Receipt>, ChargeError> {
    // If the process dies after the charge and before the receipt is recorded, this body runs again. The provider then
    // recognises the charge by this key, which is the same in every run for this order.
    let idempotency_key = shop.derives_keys.then(|| claim.derive("charge"));
    // Never missing here: an order without an id is refused before this body is started (`missing_key = "error"`, the
    // default).
    let id = order.id.as_deref().unwrap_or_default();
    let charge = shop.provider.charge(idempotency_key, id, order.cents).await?;
    shop.crash.is_it_time();
    Ok(Receipt { charge, cents: order.cents }.into())
}

/// Why an order was not charged by this call.
#[derive(Debug)]
pub(crate) enum ChargeError {
    /// The provider failed.
    Provider(ProviderError),
    /// The handler was not run, or its outcome not recorded.
    Idempotency(idem_runtime::Error),
}

impl ChargeError {
    /// Whether every further delivery would fail in the same way.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Provider(error) => !matches!(error, ProviderError::TimedOut),
            Self::Idempotency(error) => !error.is_retryable(),
        }
    }
}

/// What a consumer has to know about an error.
impl Refusal for ChargeError {
    fn refusal(&self) -> Option<&idem_runtime::Error> {
        match self {
            Self::Provider(_) => None,
            Self::Idempotency(error) => Some(error),
        }
    }
}

impl fmt::Display for ChargeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider(error) => error.fmt(f),
            Self::Idempotency(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ChargeError {}

impl From<ProviderError> for ChargeError {
    fn from(error: ProviderError) -> Self {
        Self::Provider(error)
    }
}

/// The attribute demands this of an error type: it needs a way to say why the body was not run.
impl From<idem_runtime::Error> for ChargeError {
    fn from(error: idem_runtime::Error) -> Self {
        Self::Idempotency(error)
    }
}

/// Kills the process at the worst moment: after a charge, and before its receipt is recorded.
pub(crate) struct Crash {
    after: Option<u64>,
    handlers: AtomicU64,
}

impl Crash {
    pub(crate) fn after(after: Option<u64>) -> Self {
        Self { after, handlers: AtomicU64::new(0) }
    }

    fn is_it_time(&self) {
        let handler = self.handlers.fetch_add(1, Ordering::Relaxed) + 1;
        if Some(handler) == self.after {
            eprintln!("\naborting in the middle of handler {handler}: its order is charged, its receipt not recorded");
            // As with `kill -9`, no destructor runs, and no lease is given back.
            std::process::abort();
        }
    }

    /// For the report: the crash that was asked for, if it didn't take place.
    pub(crate) fn remark(&self) -> Option<String> {
        let (after, ran) = (self.after?, self.handlers.load(Ordering::Relaxed));
        Some(format!("no crash: --crash-after {after}, and {ran} handlers got that far"))
    }
}
