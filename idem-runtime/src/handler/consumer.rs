//! What a consumer does with a message after its handler has returned. It works with any broker.
//!
//! In tx mode, a message is not handled before the commit. So give [`disposition`] the result of the whole transaction,
//! the commit included.
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
//!     Disposition::Retry { after } => { /* nak, with that delay if the broker can, else with the broker's own */ }
//!     Disposition::DeadLetter => { /* move it to the dead letters, for a person to look at: it was not handled */ }
//! }
//! # }
//! ```
//!
//! # Boxed and dynamic errors
//!
//! A handler can return a `Box<dyn Error>`, with or without `Send + Sync`, an `anyhow::Error` (feature `anyhow`) or an
//! `eyre::Report` (feature `eyre`). [`disposition`] looks for this library's error in the whole chain of
//! [sources](std::error::Error::source), and takes the outermost one. If a handler passes on an error that it got from
//! another idempotent handler, that one is found.
//!
//! Two conversions hide this library's error, because the chain of their result holds the source of the error but not
//! the error itself:
//!
//! - `.into()` from an `anyhow::Error` or an `eyre::Report` to a `Box<dyn Error>`, unless `context` or `wrap_err` was
//!   called on it. `anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace` hides nothing.
//! - A transparent type, such as thiserror's `#[error(transparent)]`. A type with `#[error("…")]` and `#[from]` or
//!   `#[source]` hides nothing.
//!
//! For a hidden error, [`disposition`] still knows from the source whether a redelivery can help. But it doesn't know
//! what is left of a running call's lease, so it asks for a redelivery with the broker's own delay.
//!
//! In these types, no error of the handler's own is final. A message that can't be read is delivered again for as long
//! as the broker allows. To stop that, use an error type of your own, and implement [`Refusal::is_final`] for it.
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
    /// The message is handled, by this delivery or by an earlier one, or it is not for this handler.
    Acknowledge,
    /// The message is not handled. Have it delivered again.
    Retry {
        /// The delay: what is left of the lease of the call that is running. That call may end earlier. `None`: the
        /// broker's own delay.
        after: Option<Duration>,
    },
    /// The message is not handled, or nobody knows whether it is, and a redelivery can't help before a person has
    /// acted. Put it aside.
    DeadLetter,
}

/// A handler's error type, which can hold this library's [`Error`].
#[diagnostic::on_unimplemented(
    message = "`disposition` can't tell what the error `{Self}` means",
    label = "`idem_runtime::consumer::Refusal` isn't implemented for this error",
    note = "implement it: its `refusal` returns the `idem_runtime::Error` that the error holds, or `None`",
    note = "its `is_final` says which errors no redelivery can help, such as that of a message that can't be parsed: any other is \
            delivered again",
    note = "`anyhow::Error` and `eyre::Report` have it with the features `anyhow` and `eyre` of `idem-runtime`; another \
            crate's error needs a type of yours around it"
)]
pub trait Refusal {
    /// This library's error, if this is one. `None` for a handler's own error.
    fn refusal(&self) -> Option<&Error>;

    /// Whether this is a handler's own error that no redelivery can help, such as a message that can't be read or a
    /// card that is declined for good. By default it is `false`, and such a message is delivered again for as long as
    /// the broker allows.
    fn is_final(&self) -> bool {
        false
    }
}

impl Refusal for Error {
    fn refusal(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Decides what to do with a message, from what its handler returned.
///
/// | returned | disposition |
/// |---|---|
/// | `Ok`: executed, replayed or [skipped](crate::Outcome::Skipped) | acknowledge |
/// | the handler's own `Err` | retry: its key is free again |
/// | the handler's own `Err` that [is final](Refusal::is_final). An error that `on_error` recorded should be final, because each retry replays it | dead letter |
/// | [`Error::InProgress`] | retry, after what is left of the running call's lease |
/// | [`Error::MissingKey`], [`Error::KeyTooLong`], [`Error::FingerprintUnavailable`], [`Error::KeyReused`], [`Error::OutcomeUnknown`] | dead letter |
/// | [`Error::ResultUnavailable`], [`Error::Decode`] | dead letter: the key is completed, but its result can't be read. If the error is from another handler, which this one called, nobody knows whether this message is handled |
/// | [`Error::TransactionLost`] | dead letter: a part of the transaction may be committed, and a retry would write it again |
/// | every other [`Error`]: a redelivery can help ([`Error::is_retryable`]), or helps once an operator has corrected a setting | retry |
pub fn disposition<T, E: Refusal>(result: &Result<T, E>) -> Disposition {
    let Err(error) = result else { return Disposition::Acknowledge };
    match error.refusal() {
        None if error.is_final() => Disposition::DeadLetter,
        None => Disposition::Retry { after: None },
        Some(error) if error.needs_a_human() => Disposition::DeadLetter,
        // A wrong setting fails every message alike. So the messages are retried until it is corrected, and not put
        // aside one by one.
        Some(error) => Disposition::Retry { after: error.retry_after() },
    }
}

#[cfg(test)]
mod tests;
