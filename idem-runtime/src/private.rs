//! What the code that the attribute generates calls. It changes without notice, because `idem-macros` and this crate
//! are pinned to the same version.
//!
//! Nothing is decided here: each function calls the room that does the work. It is the last room, and may import all
//! others (ARCHITECTURE.md, "Floors").

// Whoever fuzzes an application sets the cfg for this crate too, with the features that the application has.
#[cfg(all(fuzzing, feature = "mysql", feature = "postgres", feature = "redis", feature = "sqlite"))]
pub mod fuzzing;

use serde::Serialize;

pub use crate::codec::fingerprint::FingerprintInput;
pub use crate::engine::{Asked, Asking, Call, open, run, run_blocking};
pub use crate::handler::policy::{
    AnswerUnreadable, DecideErrors, KeepErrors, NoReconcile, ReconcileClosure, RecordErrors, RefuseUnreadable,
    ReleaseErrors,
};
pub use crate::handler::{ClaimSlot, Ops, Site};
pub use crate::protocol::key::{IdempotencyKey, KeyInput};
pub use crate::tx::call::{TxCall, enter, enter_blocking, leave, leave_blocking};

use crate::handler::output::{HandlerOutput, RecordableError};
use crate::handler::policy::{AcceptError, AnswerDecode, DecideError, IntoReconcile};
use crate::handler::{Claim, ops};
use crate::store::{AnyStore, IdempotencyStore};

/// The conversions of the return type. `V` and `E` are parameters of their own, and not projections of `O`: if `O`
/// can't be recorded, each use of a projection would be another compile error.
pub fn output<O, M, V, E>() -> Ops<O, V, E>
where
    O: HandlerOutput<M, Value = V, Error = E>,
{
    ops::of::<O, M>()
}

/// Checks, at compile time, a scope that is given as a constant.
///
/// ```compile_fail,E0080
/// # use idem_runtime::{Error, idempotent};
/// const SCOPE: &str = " ";
///
/// #[idempotent(key = "id", scope = SCOPE)]
/// async fn handle(id: u32) -> Result<u32, Error> {
///     Ok(id)
/// }
/// ```
pub const fn scope(name: &'static str) -> &'static str {
    assert!(!name.trim_ascii().is_empty(), "the scope is empty: give the constant a name, such as \"billing/charge\"");
    name
}

/// The key.
pub fn key<K: IdempotencyKey + ?Sized>(key: &K) -> KeyInput {
    crate::protocol::key::encode(key)
}

/// A part of the key. What it returns is a key whatever `K` is, so that a mistake is one error.
pub fn key_part<K: IdempotencyKey>(part: &K) -> &dyn IdempotencyKey {
    part
}

/// The fingerprint.
pub fn fingerprint<T: FingerprintPart + ?Sized>(value: &T) -> FingerprintInput {
    crate::codec::fingerprint::of(value)
}

/// The fingerprint of a tuple. serde's own error names the part that can't be encoded.
pub fn fingerprint_of_parts<T: Serialize>(parts: &T) -> FingerprintInput {
    fingerprint(parts)
}

/// `Serialize`, for the code that the attribute generates.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a fingerprint",
    label = "`{Self}` does not implement `serde::Serialize`",
    note = "name the fields that duplicates must have in common, such as `fingerprint = order.cents` or \
            `fingerprint = \"order.cents, order.currency\"`, or derive `serde::Serialize` for this type"
)]
pub trait FingerprintPart: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + ?Sized> FingerprintPart for T {}

/// What the installed store, or the one of `with_store`, answers at once. Without a question, only a clone of it.
pub fn installed(asking: Option<Asking<'_>>) -> Asked<AnyStore> {
    let answer = crate::store::install::with_current(|store| store.idempotency_store(asking));
    answer.unwrap_or(Asked::Claim(None))
}

/// Finds the store in an expression that is a store or derefs to one. It is called as a method, so that the compiler
/// derefs.
pub trait ToHandle {
    /// What the store answers at once. Without a question, only a clone of it.
    fn idempotency_store(&self, asking: Option<Asking<'_>>) -> Asked<Self>
    where
        Self: Sized;
}

impl<S: IdempotencyStore> ToHandle for S {
    #[inline]
    fn idempotency_store(&self, asking: Option<Asking<'_>>) -> Asked<Self> {
        match asking {
            Some(asking) => asking.ask(self),
            None => Asked::Claim(Some(self.clone())),
        }
    }
}

/// `on_error = "record"`.
pub fn record_errors<O, V, E: RecordableError<Kind>, Kind>(_: Ops<O, V, E>) -> RecordErrors<E, fn(&E) -> bool> {
    RecordErrors::new(|_| true)
}

/// `on_error = record_if(function)`.
pub fn record_errors_if<O, V, E: RecordableError<Kind>, F: AcceptError<E>, Kind>(
    _: Ops<O, V, E>,
    accept: F,
) -> RecordErrors<E, F> {
    RecordErrors::new(accept)
}

/// Its argument. The attribute writes `the(ops)` where an error may be about `ops`: all tokens of this expression can have the
/// user's place, and the name `ops` alone can't, as it would be the user's variable then.
pub fn the<T>(value: T) -> T {
    value
}

/// `on_error = function`.
pub fn decide_errors<O, V, E, F: DecideError<E>>(_: Ops<O, V, E>, decide: F) -> DecideErrors<E, F> {
    DecideErrors::new(decide)
}

/// `on_decode = function`.
pub fn answer_unreadable<O, V, E, F: AnswerDecode<V, E>>(_: Ops<O, V, E>, answer: F) -> AnswerUnreadable<V, E, F> {
    AnswerUnreadable::new(answer)
}

/// `on_crash = function`.
pub fn reconcile<O, V, E, F, K, R>(_: Ops<O, V, E>, find_out: F) -> R
where
    F: IntoReconcile<K, V, E, Reconcile = R>,
{
    find_out.into_reconcile()
}

/// `on_crash = closure`. The compiler infers the closure's types only from a bound that stands here.
pub fn reconcile_closure<O, V, E, F>(_: Ops<O, V, E>, find_out: F) -> F
where
    F: AsyncFn(&Claim) -> Result<Option<V>, E>,
{
    find_out
}

/// Runs a sync handler's body.
pub fn once<O>(body: impl FnOnce() -> O) -> O {
    body()
}

/// A value of any type, for a branch that is never taken. It tells the compiler the type of the body before the body,
/// so that a type error points into the body and not at the attribute.
pub fn never<T>() -> T {
    loop {
        std::hint::spin_loop();
    }
}
