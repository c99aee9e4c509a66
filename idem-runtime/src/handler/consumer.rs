//! What a consumer does with a message, now that its handler has returned: for whatever broker.
//!
//! In tx mode, nothing is handled before the commit: ask by the result of the whole transaction, commit included.
//!
//! ```
//! use idem_runtime::consumer::{Disposition, Refusal, disposition};
//! use idem_runtime::Error;
//!
//! enum ChargeError {
//!     ProviderDown,
//!     Unreadable,
//!     Idempotency(Error),
//! }
//!
//! impl Refusal for ChargeError {
//!     fn refusal(&self) -> Option<&Error> {
//!         match self {
//!             Self::Idempotency(error) => Some(error),
//!             Self::ProviderDown | Self::Unreadable => None,
//!         }
//!     }
//!
//!     fn is_final(&self) -> bool {
//!         matches!(self, Self::Unreadable)
//!     }
//! }
//!
//! # fn settle(result: Result<(), ChargeError>) {
//! match disposition(&result) {
//!     Disposition::Acknowledge => { /* ack */ }
//!     Disposition::Retry { after } => { /* nak, with that delay if the broker can; else with its own */ }
//!     Disposition::DeadLetter => { /* move it to where a human looks; it was not handled */ }
//! }
//! # }
//! ```
//!
//! # Errors of many kinds
//!
//! A handler can return a `Box<dyn Error>`, with or without `Send + Sync`, an `anyhow::Error` (feature `anyhow`) or an
//! `eyre::Report` (feature `eyre`). The library's error is looked for in the whole chain of
//! [sources](std::error::Error::source). The outermost one counts: where a handler passes on what an idempotent handler that it
//! called was told, that is the inner handler's error.
//!
//! Two conversions hide the library's error, as their result passes on its source and not the error itself:
//!
//! - `.into()` from an `anyhow::Error` or an `eyre::Report` to a `Box<dyn Error>`, where nothing was added by `context` or
//!   `wrap_err`. `anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace` hides nothing;
//! - a transparent type, such as thiserror's `#[error(transparent)]`. With `#[error("…")]` and `#[from]` or `#[source]`, it
//!   hides nothing.
//!
//! Of a hidden error, [`disposition`] still knows whether a redelivery can help, as its source says so. It doesn't know what is
//! left of a running call's lease: that message is delivered again with the broker's own delay.
//!
//! No error of a handler's own is final in these types: a message that can't be read is delivered again for as long as the broker
//! allows. Where such messages come, have a type of your own, with its [`Refusal::is_final`].
//!
//! ```
//! use idem_runtime::consumer::{Disposition, disposition};
//! use idem_runtime::{Error, MemoryStore, idempotent, with_store};
//!
//! #[idempotent(key = "order_id")]
//! async fn charge(order_id: &str, cents: &str) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
//!     Ok(cents.parse()?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # with_store(MemoryStore::new(), async {
//! assert_eq!(disposition(&charge("", "500").await), Disposition::DeadLetter); // no key
//! assert_eq!(disposition(&charge("order-1", "five").await), Disposition::Retry { after: None });
//! # }).await
//! # }
//! ```

mod chain;

use std::time::Duration;

use crate::error::Error;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is handled, by this delivery or by an earlier one.
    Acknowledge,
    /// It is not handled: have it delivered again.
    Retry {
        /// When, at the latest, that can help: what is left of the lease of the call that runs. `None`: with the broker's
        /// own delay.
        after: Option<Duration>,
    },
    /// It is not handled, or can't be known to be, and another delivery can't help before a human has acted: put it aside.
    DeadLetter,
}

/// A handler's error, which can be one of this library.
#[diagnostic::on_unimplemented(
    message = "`disposition` can't tell what the error `{Self}` means",
    label = "`idem_runtime::consumer::Refusal` isn't implemented for this error",
    note = "implement it: its `refusal` returns the `idem_runtime::Error` that the error holds, or `None`",
    note = "`anyhow::Error` and `eyre::Report` have it with the features `anyhow` and `eyre` of `idem-runtime`; another \
            crate's error needs a type of yours around it"
)]
pub trait Refusal {
    /// The library's error, if it is one. A handler's own error is `None`.
    fn refusal(&self) -> Option<&Error>;

    /// Whether a handler's own error is one that no redelivery can help: a message that can't be read, a card that is
    /// declined for good. Without it, such a message is delivered again for as long as the broker allows.
    fn is_final(&self) -> bool {
        false
    }
}

impl Refusal for Error {
    fn refusal(&self) -> Option<&Error> {
        Some(self)
    }
}

/// What to do with a message, by what its handler returned.
///
/// | returned | so |
/// |---|---|
/// | `Ok`, executed or replayed | acknowledge |
/// | the handler's own `Err` | retry: its key is free again |
/// | the handler's own `Err` that [is final](Refusal::is_final): so should be one that `on_error` recorded, of which each retry is a replay | dead letter |
/// | [`Error::InProgress`] | retry, once the running call's lease is over at the latest |
/// | [`Error::MissingKey`], [`Error::KeyTooLong`], [`Error::FingerprintUnavailable`], [`Error::KeyReused`], [`Error::OutcomeUnknown`] | dead letter |
/// | [`Error::ResultUnavailable`], [`Error::Decode`] | dead letter: a key is completed whose result can't be read. Where it is that of another handler, which this one has called, nobody knows that this message is handled |
/// | [`Error::TransactionLost`] | dead letter: a part of it may be committed, which a retry would do again |
/// | what a redelivery can help ([`Error::is_retryable`]), or an operator who mends a setting | retry |
pub fn disposition<T, E: Refusal>(result: &Result<T, E>) -> Disposition {
    let Err(error) = result else { return Disposition::Acknowledge };
    match error.refusal() {
        None if error.is_final() => Disposition::DeadLetter,
        None => Disposition::Retry { after: None },
        Some(error) if error.needs_a_human() => Disposition::DeadLetter,
        // A wrong setting fails every message alike: they wait for it to be mended, and aren't put aside one by one.
        Some(error) => Disposition::Retry { after: error.retry_after() },
    }
}

#[cfg(test)]
mod tests;
