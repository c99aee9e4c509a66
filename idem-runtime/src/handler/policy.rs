//! What an `Err` does to the key (`on_error`), what a crash does (`on_crash`), and what a duplicate gets whose record can't
//! be read (`on_decode`).

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded};
use crate::handler::Claim;
use crate::protocol::Record;

/// What a function given as `on_error` decides about its error.
///
/// An error is recorded, to be replayed, by `on_error = "record"` or `record_if`. It is `Serialize` and `Deserialize` then, and
/// holds [`Error`](crate::Error), which is neither: skip that variant, and keep it out of the record. What serde skips can't
/// be encoded, so recorded it would be [`Error::ResultUnavailable`](crate::Error::ResultUnavailable) for each duplicate.
///
/// ```
/// use idem_runtime::{Error, idempotent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize)]
/// enum ChargeError {
///     Declined { reason: String },
///     ProviderDown,
///     #[serde(skip)]
///     Idempotency(Error),
/// }
///
/// impl From<Error> for ChargeError {
///     fn from(error: Error) -> Self {
///         Self::Idempotency(error)
///     }
/// }
///
/// impl ChargeError {
///     /// What no other attempt can help: never a refusal of this library, which isn't the handler's outcome.
///     fn is_final(&self) -> bool {
///         matches!(self, Self::Declined { .. })
///     }
/// }
///
/// #[idempotent(key = "order_id", on_error = record_if(ChargeError::is_final))]
/// async fn charge(order_id: &str, cents: u64) -> Result<(), ChargeError> {
///     Err(ChargeError::Declined { reason: format!("{cents} cents are over the limit") })
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnError {
    /// The failure had no effect: free the key at once, so that a redelivery runs.
    Release,
    /// The failure may have had an effect: hold the key until its lease ends, then do as `on_crash` says.
    Keep,
}

/// What an `Err` does to the key.
#[derive(Debug)]
pub enum Verdict {
    /// Free it.
    Release,
    /// Hold it until its lease ends.
    Keep,
    /// Complete it with this failure.
    Record,
}

/// The attribute's `on_error`.
pub trait ErrorPolicy<E> {
    /// What this error does to the key.
    fn judge(&self, error: &E) -> Verdict;

    /// A failure that is to be recorded; `None` if it can't be encoded.
    fn encode(&self, _: &E) -> Option<Record> {
        None
    }

    /// A recorded error. A handler that no longer records its errors can't read those that it did.
    ///
    /// # Errors
    ///
    /// What was expected of the record.
    fn decode(&self, _: Encoded<'_>) -> Result<E, DecodeError> {
        Err(DecodeError::expected("a result, and not an error, as the handler doesn't record errors", 1))
    }
}

/// `on_error = "release"`.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseErrors;

impl<E> ErrorPolicy<E> for ReleaseErrors {
    fn judge(&self, _: &E) -> Verdict {
        Verdict::Release
    }
}

/// `on_error = "keep"`.
#[derive(Clone, Copy, Debug)]
pub struct KeepErrors;

impl<E> ErrorPolicy<E> for KeepErrors {
    fn judge(&self, _: &E) -> Verdict {
        Verdict::Keep
    }
}

/// `on_error = function`. What it needs of the user's types is held as functions, and asked for where they are named: so a
/// wrong function is one error, and not one more in the engine.
#[derive(Clone, Copy, Debug)]
pub struct DecideErrors<E, F> {
    function: F,
    decide: fn(&F, &E) -> OnError,
}

impl<E, F: DecideError<E>> DecideErrors<E, F> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, decide: F::decide }
    }
}

impl<E, F> ErrorPolicy<E> for DecideErrors<E, F> {
    fn judge(&self, error: &E) -> Verdict {
        match (self.decide)(&self.function, error) {
            OnError::Release => Verdict::Release,
            OnError::Keep => Verdict::Keep,
        }
    }
}

/// `on_error = "record"`, or `record_if(function)`.
#[derive(Clone, Copy, Debug)]
pub struct RecordErrors<E, F> {
    function: F,
    accept: fn(&F, &E) -> bool,
    encode: fn(&E) -> Option<Record>,
    decode: for<'a> fn(Encoded<'a>) -> Result<E, DecodeError>,
}

impl<E: Serialize + DeserializeOwned, F: AcceptError<E>> RecordErrors<E, F> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, accept: F::accept, encode: record::encode_error, decode: |encoded| encoded.decode() }
    }
}

impl<E, F> ErrorPolicy<E> for RecordErrors<E, F> {
    fn judge(&self, error: &E) -> Verdict {
        if (self.accept)(&self.function, error) { Verdict::Record } else { Verdict::Release }
    }

    fn encode(&self, error: &E) -> Option<Record> {
        (self.encode)(error)
    }

    fn decode(&self, encoded: Encoded<'_>) -> Result<E, DecodeError> {
        (self.decode)(encoded)
    }
}

/// The attribute's `on_decode`.
pub trait DecodePolicy<V, E> {
    /// What a duplicate gets in the place of [`Error::Decode`](crate::Error::Decode); `None`: that.
    fn answer(&self, _: &DecodeError) -> Option<Result<V, E>> {
        None
    }
}

/// `on_decode = "error"`.
#[derive(Clone, Copy, Debug)]
pub struct RefuseUnreadable;

impl<V, E> DecodePolicy<V, E> for RefuseUnreadable {}

/// `on_decode = function`, held as [`DecideErrors`] holds its own.
#[derive(Clone, Copy, Debug)]
pub struct AnswerUnreadable<V, E, F> {
    function: F,
    answer: fn(&F, &DecodeError) -> Result<V, E>,
}

impl<V, E, F: AnswerDecode<V, E>> AnswerUnreadable<V, E, F> {
    pub(crate) fn new(function: F) -> Self {
        Self { function, answer: F::answer }
    }
}

impl<V, E, F> DecodePolicy<V, E> for AnswerUnreadable<V, E, F> {
    fn answer(&self, error: &DecodeError) -> Option<Result<V, E>> {
        Some((self.answer)(&self.function, error))
    }
}

/// A function that can be given as `on_decode`.
#[diagnostic::on_unimplemented(
    message = "`on_decode` needs a function from `&DecodeError` to `Result<{V}, {E}>`",
    label = "not a `fn(&idem_runtime::DecodeError) -> Result<{V}, {E}>`",
    note = "write `fn unreadable(error: &idem_runtime::DecodeError) -> Result<{V}, {E}>`: what a duplicate gets whose record \
            can't be read",
    note = "or use `on_decode = \"error\"`"
)]
pub trait AnswerDecode<V, E> {
    /// What the duplicate gets.
    ///
    /// # Errors
    ///
    /// The handler's own error, which the duplicate gets as well.
    fn answer(&self, error: &DecodeError) -> Result<V, E>;
}

#[diagnostic::do_not_recommend]
impl<V, E, F: Fn(&DecodeError) -> Result<V, E>> AnswerDecode<V, E> for F {
    fn answer(&self, error: &DecodeError) -> Result<V, E> {
        self(error)
    }
}

/// A function that can be given as `on_error`.
#[diagnostic::on_unimplemented(
    message = "`on_error` needs a function from `&{E}` to `OnError`",
    label = "not a `fn(&{E}) -> idem_runtime::OnError`",
    note = "write `fn decide(error: &{E}) -> idem_runtime::OnError`, or one of \"release\", \"keep\", \"record\", \
            `record_if(function)`"
)]
pub trait DecideError<E> {
    /// What this error does to the key.
    fn decide(&self, error: &E) -> OnError;
}

#[diagnostic::do_not_recommend]
impl<E, F: Fn(&E) -> OnError> DecideError<E> for F {
    fn decide(&self, error: &E) -> OnError {
        self(error)
    }
}

/// A function that can be given to `record_if`.
#[diagnostic::on_unimplemented(
    message = "`record_if` needs a function from `&{E}` to `bool`",
    label = "not a `fn(&{E}) -> bool`",
    note = "write `fn is_final(error: &{E}) -> bool`: true where the failure is to be recorded and replayed"
)]
pub trait AcceptError<E> {
    /// Whether to record this error.
    fn accept(&self, error: &E) -> bool;
}

#[diagnostic::do_not_recommend]
impl<E, F: Fn(&E) -> bool> AcceptError<E> for F {
    fn accept(&self, error: &E) -> bool {
        self(error)
    }
}

/// The attribute's `on_crash`, where it is a function.
pub trait Reconcile<V, E> {
    /// Whether it is one at all: if not, an orphan is run again.
    const ASKS: bool = true;

    /// What became of the call that died: its result, or nothing.
    fn reconcile(&self, claim: &Claim) -> impl Future<Output = Result<Option<V>, E>>;
}

/// `on_crash = "rerun"` or `"park"`.
#[derive(Clone, Copy, Debug)]
pub struct NoReconcile;

impl<V, E> Reconcile<V, E> for NoReconcile {
    const ASKS: bool = false;

    async fn reconcile(&self, _: &Claim) -> Result<Option<V>, E> {
        Ok(None)
    }
}

#[diagnostic::do_not_recommend]
impl<V, E, F: AsyncFn(&Claim) -> Result<Option<V>, E>> Reconcile<V, E> for F {
    async fn reconcile(&self, claim: &Claim) -> Result<Option<V>, E> {
        self(claim).await
    }
}

/// What can be given as `on_crash`.
#[diagnostic::on_unimplemented(
    message = "`on_crash` needs an async function from `&Claim` to `Result<Option<{V}>, {E}>`",
    label = "not an `async fn(&Claim) -> Result<Option<{V}>, {E}>`",
    note = "write `async fn find_out(claim: &idem_runtime::Claim) -> Result<Option<{V}>, {E}>`: `Some(result)` if the \
            effect of the call that died took place, `None` if it did not",
    note = "or use `on_crash = \"rerun\"` or `on_crash = \"park\"`"
)]
pub trait IntoReconcile<Kind, V, E> {
    /// What the engine asks.
    type Reconcile: Reconcile<V, E>;

    /// What the engine asks.
    fn into_reconcile(self) -> Self::Reconcile;
}

/// An async function.
#[derive(Debug)]
pub enum AsyncFunction {}

impl<V, E, F: AsyncFn(&Claim) -> Result<Option<V>, E>> IntoReconcile<AsyncFunction, V, E> for F {
    type Reconcile = F;

    fn into_reconcile(self) -> F {
        self
    }
}

/// Nothing. As there is a second kind, the compiler doesn't take a wrong function for one of the first, to report it once
/// more wherever the engine needs one; and it has no kind to describe but the trait's own words.
#[derive(Debug)]
pub enum Nothing {}

/// Implemented by nothing.
pub trait Unimplemented {}

impl<V, E, F: Unimplemented> IntoReconcile<Nothing, V, E> for F {
    type Reconcile = NoReconcile;

    fn into_reconcile(self) -> NoReconcile {
        NoReconcile
    }
}
