//! The types that a handler can return: how they are recorded, and how they are replayed.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Error;

/// A type that an idempotent handler can return.
///
/// It is implemented for `Result<T, E>` and `Result<Outcome<T>, E>`, where `T` is owned, `Serialize` and `Deserialize`,
/// and `E` is `From<idem_runtime::Error>`. You can implement it for a framework's own type:
///
/// ```
/// use idem_runtime::{Error, HandlerOutput};
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
///     fn into_result(self) -> Result<(), ()> {
///         match self {
///             Self::Success => Ok(()),
///             Self::ReconsumeLater => Err(()),
///         }
///     }
///     fn executed((): ()) -> Self {
///         Self::Success
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
    note = "a handler that awaits has to be an `async fn`, and not a function that returns a future"
)]
pub trait HandlerOutput<M>: Sized {
    /// What is recorded.
    type Value: Serialize + DeserializeOwned;
    /// The handler's own failure.
    type Error;

    /// What the body returned: a result to record, or the handler's own error.
    ///
    /// # Errors
    ///
    /// The handler's own failure.
    fn into_result(self) -> Result<Self::Value, Self::Error>;

    /// Whether the body says that it did nothing, as with [`Outcome::Skipped`]. The caller then gets this value, and nothing
    /// is recorded. It has to be `false` for a failure.
    fn skipped(&self) -> bool {
        false
    }

    /// What the caller gets if its call ran the body.
    fn executed(value: Self::Value) -> Self;

    /// What the caller gets if its call was a duplicate.
    fn replayed(value: Self::Value) -> Self;

    /// What the caller gets if the handler failed: in this call, or in an earlier one whose error was recorded.
    fn failed(error: Self::Error) -> Self;

    /// What the caller gets if this library refused the call.
    fn refused(error: Error) -> Self;
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

/// A type that can be recorded and replayed: each owned type that is [`Serialize`] and [`DeserializeOwned`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be recorded and replayed",
    label = "`{Self}` is not an owned type that implements `serde::Serialize` and `serde::Deserialize`",
    note = "for a type of yours, `#[derive(serde::Serialize, serde::Deserialize)]`; for another crate's, see whether it has a \
            feature `serde`",
    note = "a web framework's response can't be recorded: return what it is made of, such as `Result<Receipt, E>` in place of \
            `Result<Json<Receipt>, E>` and of `Result<Response, E>`, and make the response where the handler is called"
)]
pub trait Recordable: Serialize + DeserializeOwned {}

// Without this, the compiler lists serde's implementations, twice.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Recordable for T {}

/// The markers of the implementations for `Result`. The compiler infers them.
pub mod marker {
    /// `Result<T, E>`.
    #[derive(Debug)]
    pub enum Plain {}
    /// `Result<Outcome<T>, E>`.
    #[derive(Debug)]
    pub enum WithOutcome {}
}

impl<T, E> HandlerOutput<marker::Plain> for Result<T, E>
where
    T: Recordable,
    E: From<Error>,
{
    type Value = T;
    type Error = E;

    fn into_result(self) -> Result<T, E> {
        self
    }

    fn executed(value: T) -> Self {
        Ok(value)
    }

    fn replayed(value: T) -> Self {
        Ok(value)
    }

    fn failed(error: E) -> Self {
        Err(error)
    }

    fn refused(error: Error) -> Self {
        Err(error.into())
    }
}

impl<T, E> HandlerOutput<marker::WithOutcome> for Result<Outcome<T>, E>
where
    T: Recordable,
    E: From<Error>,
{
    type Value = T;
    type Error = E;

    fn into_result(self) -> Result<T, E> {
        self.map(Outcome::into_inner)
    }

    fn skipped(&self) -> bool {
        matches!(self, Ok(Outcome::Skipped(_)))
    }

    fn executed(value: T) -> Self {
        Ok(Outcome::Executed(value))
    }

    fn replayed(value: T) -> Self {
        Ok(Outcome::Replayed(value))
    }

    fn failed(error: E) -> Self {
        Err(error)
    }

    fn refused(error: Error) -> Self {
        Err(error.into())
    }
}
