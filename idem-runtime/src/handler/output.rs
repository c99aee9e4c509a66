//! The types that a handler can return: how they are recorded, and how they are replayed.

#[cfg(feature = "actix")]
mod actix;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(any(feature = "actix", feature = "tonic"))]
mod wire;

use std::borrow::Borrow;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "actix")]
pub use self::actix::RecordedResponse;
#[cfg(feature = "tonic")]
pub use self::tonic::Recorded;
use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded};
use crate::error::Error;
use crate::protocol::{Leave, Record};

/// A type that an idempotent handler can return.
///
/// It is implemented for `Result<T, E>` and `Result<Outcome<T>, E>`, where `T` is owned, `Serialize` and `Deserialize`,
/// and `E` is `From<idem_runtime::Error>`. You can implement it for a framework's own type:
///
/// ```
/// use std::borrow::Borrow;
///
/// use idem_runtime::{Error, HandlerOutput};
/// use serde::Serialize;
///
/// /// A framework's type.
/// enum ConsumeResult {
///     Success,
///     ReconsumeLater,
/// }
///
/// /// A marker of your own: the orphan rule asks for it. The compiler infers it where a handler is annotated.
/// struct Consumed;
///
/// impl HandlerOutput<Consumed> for ConsumeResult {
///     type Value = ();
///     type Error = ();
///
///     fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<()> + '_> {
///         match self {
///             Self::Success => Ok(()),
///             Self::ReconsumeLater => Err(()),
///         }
///     }
///     fn replayed((): ()) -> Self {
///         Self::Success
///     }
///     fn failed((): ()) -> Self {
///         Self::ReconsumeLater
///     }
///     fn refused(_: Error) -> Self {
///         // Never `Success`, which would acknowledge the message. In the end it is put into the dead-letter queue.
///         Self::ReconsumeLater
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "an idempotent handler can't return `{Self}`",
    label = "this can't be recorded and replayed",
    note = "return `Result<T, E>`, where `T` is an owned type that implements `serde::Serialize` and \
            `serde::Deserialize`, and `E` implements `From<idem_runtime::Error>`",
    note = "for a framework's own type, implement `idem_runtime::HandlerOutput<YourMarker>` for it",
    note = "where the signature is given, as by a trait, make a block of the body idempotent: `idem_runtime::run_once!`",
    note = "a handler that awaits has to be an `async fn`, and not a function that returns a future"
)]
pub trait HandlerOutput<M>: Sized {
    /// What a record is read as. What [`recorded`](Self::recorded) returns is encoded as a value of this type is.
    type Value: Serialize + DeserializeOwned;
    /// The handler's own failure.
    type Error;

    /// What to record of the value that the body returned: a result, or the handler's own error.
    ///
    /// The caller whose call ran the body gets this value, `self`, and not one that was made from the record. So an
    /// implementation that takes a part out, such as the body of a response, puts it back.
    ///
    /// # Errors
    ///
    /// The handler's own failure.
    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<Self::Error> + '_>;

    /// What the caller gets if its call was a duplicate.
    fn replayed(value: Self::Value) -> Self;

    /// What the caller gets if an earlier call failed and its error was recorded, or if the function of `on_crash` or
    /// of `on_decode` returned an error.
    fn failed(error: Self::Error) -> Self;

    /// What the caller gets if this library refused the call.
    fn refused(error: Error) -> Self;

    /// How a call leaves its key, if it isn't completed with what [`recorded`](Self::recorded) returns. `None`, the
    /// default: what `recorded` returns is recorded, or is an error, about which `on_error` decides.
    ///
    /// It is for values that are no `Err` and must not be recorded: a response that says that the service is overloaded
    /// ([`Leave::Failed`]), or a value that says that the body did nothing, as [`Outcome::Skipped`] does
    /// ([`Leave::NotRun`]). In tx mode, the claim is withdrawn from the transaction, whichever it is.
    fn leave(&self) -> Option<Leave> {
        None
    }

    /// What the caller gets if its call ran the body: this value, the default. [`Outcome`] overrides it, because the
    /// body may have returned the `Outcome::Replayed` that it got from another handler.
    #[must_use]
    fn own(self) -> Self {
        self
    }
}

/// A result that says whether the body ran in this call. The handler returns `Result<Outcome<T>, E>`, and its body
/// builds the `Outcome` with `.into()`, or as [`Outcome::Skipped`].
///
/// It is not `Serialize`, because only the `T` is recorded.
///
/// ```
/// # use idem_runtime::{Error, Outcome};
/// fn body() -> Result<Outcome<u32>, Error> {
///     Ok(7.into())
/// }
/// assert_eq!(body().unwrap(), Outcome::Executed(7));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome<T> {
    /// The body ran in this call.
    Executed(T),
    /// An earlier call ran the body. This is its recorded result.
    Replayed(T),
    /// The body ran in this call, and says that it did nothing: the message is not for this handler, or its time has not
    /// come. The caller gets the `T`, and nothing is recorded. The key is left as if this call had never come, so the next
    /// delivery runs the body, and the attempt isn't counted. An earlier call's unknown outcome stays unknown.
    ///
    /// It costs the same two round trips as a result that is recorded. If the store fails at the second one, the key is
    /// released in the background, and the caller gets its `T` all the same. In tx mode, the claim is withdrawn from the
    /// transaction. [`Claim::skip`](crate::Claim::skip) says the same for any other return type.
    ///
    /// ```
    /// use idem_runtime::{Error, MemoryStore, Outcome, idempotent, with_store};
    ///
    /// #[idempotent(key = "order_id")]
    /// async fn ship(order_id: u32, warehouse: &str) -> Result<Outcome<u32>, Error> {
    ///     if warehouse != "Leipzig" {
    ///         return Ok(Outcome::Skipped(0)); // another service ships it
    ///     }
    ///     Ok(1.into())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # with_store(MemoryStore::new(), async {
    /// assert_eq!(ship(7, "Lyon").await?, Outcome::Skipped(0));
    /// assert_eq!(ship(7, "Leipzig").await?, Outcome::Executed(1));
    /// assert_eq!(ship(7, "Lyon").await?, Outcome::Replayed(1));
    /// # Ok(())
    /// # }).await
    /// # }
    /// ```
    Skipped(T),
}

impl<T> Outcome<T> {
    /// The result.
    pub fn into_inner(self) -> T {
        match self {
            Self::Executed(value) | Self::Replayed(value) | Self::Skipped(value) => value,
        }
    }

    /// Whether the result was recorded by an earlier call.
    pub fn is_replayed(&self) -> bool {
        matches!(self, Self::Replayed(_))
    }

    /// Whether the body says that it did nothing, so that nothing was recorded.
    pub fn is_skipped(&self) -> bool {
        matches!(self, Self::Skipped(_))
    }
}

impl<T> From<T> for Outcome<T> {
    fn from(value: T) -> Self {
        Self::Executed(value)
    }
}

/// A type that a handler can return in its `Ok`: each owned type that is [`Serialize`] and [`DeserializeOwned`], the
/// [`Outcome`] of one, and, with their features, responses of tonic, actix-web and axum.
///
/// For a type of your own, implement [`HandlerOutput`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be recorded and replayed",
    label = "`{Self}` is not an owned type that implements `serde::Serialize` and `serde::Deserialize`",
    note = "for a type of yours, also as the `T` of an `Outcome<T>` or in a tuple, `#[derive(serde::Serialize, serde::Deserialize)]`; \
            for another crate's, see whether it has a feature `serde`",
    note = "a response whose body has to be awaited, such as axum's, needs a layer around the handler, and a stream can't be \
            recorded at all: return what the response is made of, such as `Result<Receipt, E>` in place of `Result<Response, E>`, \
            and make the response where the handler is called",
    note = "with the features `tonic`, `actix` and `axum`, `tonic::Response<M>`, actix-web's `HttpResponse` and the `Json<T>` of \
            axum and actix-web are recorded, but not inside an `Outcome` or a tuple: return `Outcome<T>` there, and make the response \
            where the handler is called; see the page \"Web frameworks and gRPC\" of the book (docs/src/frameworks.md)"
)]
pub trait Recordable<Kind>: Sized {
    /// What a record is read as.
    type Value: Serialize + DeserializeOwned;

    /// See [`HandlerOutput::recorded`].
    fn recorded(&mut self) -> impl Serialize + '_;

    /// See [`HandlerOutput::replayed`].
    fn replayed(value: Self::Value) -> Self;

    /// See [`HandlerOutput::leave`].
    fn leave(&self) -> Option<Leave> {
        None
    }

    /// See [`HandlerOutput::own`].
    #[must_use]
    fn own(self) -> Self {
        self
    }
}

/// `From<idem_runtime::Error>`, for the error of a handler.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the error of an idempotent handler, as it can't hold an `idem_runtime::Error`",
    label = "`{Self}` does not implement `From<idem_runtime::Error>`",
    note = "for an error type of yours, implement it: it is how a call is refused; with thiserror, by a variant \
            `Idempotency(#[from] idem_runtime::Error)`",
    note = "in place of another type, such as `String` or `std::io::Error`, return an error type of yours, a \
            `Box<dyn std::error::Error + Send + Sync>`, or an `anyhow::Error`"
)]
pub trait HoldsError: Sized {
    /// The conversion.
    fn holding(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Error>> HoldsError for E {
    fn holding(error: Error) -> Self {
        error.into()
    }
}

/// An error that can be recorded and replayed.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`on_error` can't record `{Self}`",
    label = "recording needs `{Self}` to implement `serde::Serialize` and `serde::Deserialize`, owned",
    note = "derive both for an error type of your own; skip the variant that holds `idem_runtime::Error`, as on the page of \
            `idem_runtime::OnError`",
    note = "for the type of another crate, such as `anyhow::Error` and `idem_runtime::Error`, return an error type of your own"
)]
pub trait RecordableError<Kind>: Sized {
    /// The record. `None` if it can't be encoded.
    fn encode(&self) -> Option<Record>;

    /// Decodes a recorded error.
    ///
    /// # Errors
    ///
    /// What was expected in the record.
    fn decode(encoded: Encoded<'_>) -> Result<Self, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<E: Serialize + DeserializeOwned> RecordableError<marker::Plain> for E {
    fn encode(&self) -> Option<Record> {
        record::encode_error(self)
    }

    fn decode(encoded: Encoded<'_>) -> Result<E, DecodeError> {
        encoded.decode()
    }
}

/// A wait as `Retry-After` has it: whole seconds, rounded up, and at least one.
#[cfg(any(feature = "actix", feature = "axum"))]
fn seconds(wait: std::time::Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// The markers of the implementations for `Result`. The compiler infers them.
pub mod marker {
    use std::marker::PhantomData;

    /// `Result<T, E>`, where `T` is of this kind.
    #[derive(Debug)]
    pub struct Of<Kind>(PhantomData<Kind>);
    /// A type that is recorded as serde encodes it.
    #[derive(Debug)]
    pub enum Plain {}
    /// `Outcome<T>`.
    #[derive(Debug)]
    pub enum WithOutcome {}
    /// A response or a status of tonic.
    #[cfg(feature = "tonic")]
    #[derive(Debug)]
    pub enum Tonic {}
    /// A response of actix-web.
    #[cfg(feature = "actix")]
    #[derive(Debug)]
    pub enum Actix {}
    /// The `Json` of axum.
    #[cfg(feature = "axum")]
    #[derive(Debug)]
    pub enum Axum {}
}

// Without this, the compiler lists serde's implementations, twice.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Recordable<marker::Plain> for T {
    type Value = T;

    fn recorded(&mut self) -> impl Serialize + '_ {
        &*self
    }

    fn replayed(value: T) -> Self {
        value
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Recordable<marker::WithOutcome> for Outcome<T> {
    type Value = T;

    fn recorded(&mut self) -> impl Serialize + '_ {
        match self {
            Self::Executed(value) | Self::Replayed(value) | Self::Skipped(value) => &*value,
        }
    }

    fn replayed(value: T) -> Self {
        Self::Replayed(value)
    }

    fn leave(&self) -> Option<Leave> {
        self.is_skipped().then_some(Leave::NotRun)
    }

    fn own(self) -> Self {
        match self {
            Self::Replayed(value) => Self::Executed(value),
            own => own,
        }
    }
}

impl<T, E, Kind> HandlerOutput<marker::Of<Kind>> for Result<T, E>
where
    T: Recordable<Kind>,
    E: HoldsError,
{
    type Value = T::Value;
    type Error = E;

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<E> + '_> {
        match self {
            Ok(value) => Ok(value.recorded()),
            Err(error) => Err(&*error),
        }
    }

    fn replayed(value: T::Value) -> Self {
        Ok(T::replayed(value))
    }

    fn failed(error: E) -> Self {
        Err(error)
    }

    fn refused(error: Error) -> Self {
        Err(E::holding(error))
    }

    fn leave(&self) -> Option<Leave> {
        self.as_ref().ok()?.leave()
    }

    fn own(self) -> Self {
        self.map(T::own)
    }
}
