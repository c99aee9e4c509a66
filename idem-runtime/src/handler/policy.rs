//! The policies of a handler: what an `Err` does to the key (`on_error`), what a crash does to it (`on_crash`), and
//! what a duplicate gets if its record can't be read (`on_decode`).

use std::future::Future;

use crate::codec::DecodeError;
use crate::codec::record::Encoded;
use crate::handler::Claim;
use crate::handler::output::RecordableError;
use crate::protocol::Record;

/// What a function that is given as `on_error` decides about an error.
///
/// With `on_error = "record"` or `record_if`, an error is recorded and replayed. The error's type is `Serialize` and
/// `Deserialize` then. But it holds [`Error`](crate::Error), which is neither. So skip that variant, and don't record
/// it: serde can't encode a variant that is skipped, and each duplicate would get
/// [`Error::ResultUnavailable`](crate::Error::ResultUnavailable).
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
///     /// Whether no other attempt can help. Never so for a refusal of this library, which is no outcome of the handler.
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
    /// The failed call had no effect. Free the key at once, so that a redelivery runs.
    Release,
    /// The failed call may have had an effect. Hold the key until its lease ends. After that, `on_crash` decides.
    Keep,
}

/// What an `Err` does to the key.
#[derive(Debug)]
pub enum Verdict {
    /// Free it.
    Release,
    /// Hold it until its lease ends.
    Keep,
    /// Complete it with this error.
    Record,
}

/// The attribute's `on_error`.
pub trait ErrorPolicy<E> {
    /// What this error does to the key.
    fn judge(&self, error: &E) -> Verdict;

    /// The record of an error. `None` if it can't be encoded.
    fn encode(&self, _: &E) -> Option<Record> {
        None
    }

    /// Decodes a recorded error. By default this fails: a handler that doesn't record errors can't read those that an
    /// earlier version recorded.
    ///
    /// # Errors
    ///
    /// What was expected in the record.
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

/// `on_error = function`. It holds a function pointer, so that the bound on the user's function is checked in `new`
/// alone. A wrong function is then one compile error, without a second one in the engine.
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

impl<E, F: AcceptError<E>> RecordErrors<E, F> {
    pub(crate) fn new<Kind>(function: F) -> Self
    where
        E: RecordableError<Kind>,
    {
        Self { function, accept: F::accept, encode: E::encode, decode: |encoded| E::decode(encoded) }
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
    /// What a duplicate gets instead of [`Error::Decode`](crate::Error::Decode). `None`: it gets that error.
    fn answer(&self, _: &DecodeError) -> Option<Result<V, E>> {
        None
    }
}

/// `on_decode = "error"`.
#[derive(Clone, Copy, Debug)]
pub struct RefuseUnreadable;

impl<V, E> DecodePolicy<V, E> for RefuseUnreadable {}

/// `on_decode = function`. It holds a function pointer for the same reason as [`DecideErrors`].
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
    /// The handler's own error, if the function answers with one. The duplicate gets it.
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

/// The attribute's `on_crash`.
pub trait Reconcile<V, E> {
    /// Whether it is a function that the engine has to call for an orphan.
    const ASKS: bool = true;

    /// What became of the call that died: `Some` with its result, or `None` if it had no effect.
    fn reconcile(self, claim: Claim) -> impl Future<Output = Result<Option<V>, E>>;
}

/// `on_crash = "rerun"` or `"park"`.
#[derive(Clone, Copy, Debug)]
pub struct NoReconcile;

impl<V, E> Reconcile<V, E> for NoReconcile {
    const ASKS: bool = false;

    async fn reconcile(self, _: Claim) -> Result<Option<V>, E> {
        Ok(None)
    }
}

#[diagnostic::do_not_recommend]
impl<V, E, F: AsyncFn(&Claim) -> Result<Option<V>, E>> Reconcile<V, E> for F {
    async fn reconcile(self, claim: Claim) -> Result<Option<V>, E> {
        self(&claim).await
    }
}

/// A closure, inside of one that lends it the claim. The compiler sees that the future of an async closure is `Send` only
/// where the closure's own type is known: called here, one that captures a reference would be taken for not `Send`.
#[derive(Clone, Copy, Debug)]
pub struct ReconcileClosure<F>(pub F);

impl<V, E, F, A> Reconcile<V, E> for ReconcileClosure<F>
where
    F: FnOnce(Claim) -> A,
    A: Future<Output = Result<Option<V>, E>>,
{
    fn reconcile(self, claim: Claim) -> impl Future<Output = Result<Option<V>, E>> {
        self.0(claim)
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

/// A second kind, which no type has. If there were only one kind, the compiler would assume that a wrong function is of
/// that kind, and report it again wherever the engine needs one. With two kinds, it reports the text of
/// `on_unimplemented` and nothing else.
#[derive(Debug)]
pub enum Nothing {}

/// A trait that no type implements.
pub trait Unimplemented {}

impl<V, E, F: Unimplemented> IntoReconcile<Nothing, V, E> for F {
    type Reconcile = NoReconcile;

    fn into_reconcile(self) -> NoReconcile {
        NoReconcile
    }
}
