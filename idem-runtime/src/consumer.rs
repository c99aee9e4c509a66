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

use std::iter::successors;
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
    note = "implement it: its `refusal` returns the `idem_runtime::Error` that the error holds, or `None`"
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

/// Errors of many kinds in one box. The library's is found behind others, by their
/// [`source`](std::error::Error::source). None is final: a message that can't be read is delivered again for as long as the
/// broker allows, so have a type of your own where such messages come.
///
/// An error that is transparent, so that its source is its content's, hides the content, and so does an `anyhow::Error` that
/// is made a box with `into()`. For that one, have a type of your own around it, whose
/// `refusal` is `self.0.chain().find_map(|error| error.downcast_ref())`.
impl Refusal for Box<dyn std::error::Error + Send + Sync> {
    fn refusal(&self) -> Option<&Error> {
        let outermost: &(dyn std::error::Error + 'static) = &**self;
        successors(Some(outermost), |error| error.source()).find_map(|error| error.downcast_ref())
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
        Some(
            Error::MissingKey { .. }
            | Error::KeyTooLong { .. }
            | Error::FingerprintUnavailable { .. }
            | Error::KeyReused { .. }
            | Error::OutcomeUnknown { .. }
            | Error::ResultUnavailable { .. }
            | Error::Decode { .. }
            | Error::TransactionLost { .. },
        ) => Disposition::DeadLetter,
        // A wrong setting fails every message alike: they wait for it to be mended, and aren't put aside one by one.
        Some(error) => Disposition::Retry { after: error.retry_after() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Key;
    use crate::error::{ScopedKey, StoreError};

    #[derive(Debug)]
    struct Own {
        is_final: bool,
    }

    impl Refusal for Own {
        fn refusal(&self) -> Option<&Error> {
            None
        }

        fn is_final(&self) -> bool {
            self.is_final
        }
    }

    #[test]
    fn every_error_has_a_disposition() {
        let key = || ScopedKey::new("s", &Key::from_bytes(b"k").expect("a key"));
        let source = || StoreError::refused("memory", "no");
        let retry = Disposition::Retry { after: None };
        let left = Duration::from_secs(3);
        for (error, expected) in [
            (Error::MissingKey { scope: "s" }, Disposition::DeadLetter),
            (Error::KeyTooLong { scope: "s", length: 2_000 }, Disposition::DeadLetter),
            (Error::FingerprintUnavailable { scope: "s" }, Disposition::DeadLetter),
            (Error::KeyReused { key: key() }, Disposition::DeadLetter),
            (Error::OutcomeUnknown { key: key() }, Disposition::DeadLetter),
            (Error::InProgress { key: key(), retry_after: left }, Disposition::Retry { after: Some(left) }),
            (Error::ResultUnavailable { key: key() }, Disposition::DeadLetter),
            (Error::NoStore { scope: "s" }, retry),
            (Error::NotInTransaction { scope: "s" }, retry),
            (Error::Store { key: key(), source: source() }, retry),
            (Error::LeaseLost { key: key(), executed: true, row_gone: false }, retry),
            (Error::NotRecorded { key: Some(key()), source: source(), in_transaction: false }, retry),
            (Error::NotRecorded { key: None, source: source(), in_transaction: true }, retry),
            (Error::Conflict { key: Some(key()), executed: true, source: source() }, retry),
            (Error::Conflict { key: None, executed: true, source: source() }, retry),
            (Error::TransactionLost { key: Some(key()), source: source() }, Disposition::DeadLetter),
            (Error::config("a setting"), retry),
        ] {
            let result: Result<(), Error> = Err(error);
            assert_eq!(disposition(&result), expected, "{result:?}");
        }
        assert_eq!(disposition(&Ok::<(), Own>(())), Disposition::Acknowledge);
        assert_eq!(disposition(&Err::<(), _>(Own { is_final: false })), retry);
        assert_eq!(disposition(&Err::<(), _>(Own { is_final: true })), Disposition::DeadLetter);
        let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Error::MissingKey { scope: "s" });
        assert_eq!(disposition(&Err::<(), _>(boxed)), Disposition::DeadLetter);
    }

    #[test]
    fn a_refusal_is_found_behind_the_errors_that_it_caused() {
        #[derive(Debug)]
        struct Because(Box<dyn std::error::Error + Send + Sync>);

        impl std::fmt::Display for Because {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the order was not charged")
            }
        }

        impl std::error::Error for Because {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                Some(&*self.0)
            }
        }

        let because = |error: Box<dyn std::error::Error + Send + Sync>| {
            let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(Because(Box::new(Because(error))));
            disposition(&Err::<(), _>(boxed))
        };
        assert_eq!(because(Error::MissingKey { scope: "s" }.into()), Disposition::DeadLetter);
        assert_eq!(because("the provider is down".into()), Disposition::Retry { after: None });
    }
}
