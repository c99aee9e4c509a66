//! The `#[idempotent]` attribute of `idem-runtime`, which re-exports it: depend on that crate, not on this one.

mod args;
mod borrowed;
mod check;
mod duration;
mod errors;
mod expand;
mod hidden;
mod item;
mod key;
mod policy;
mod suggest;
#[cfg(test)]
mod tests;
mod tx;
mod value;

use proc_macro2::TokenStream;

/// Makes a handler idempotent: of the messages that have the same key, one runs the handler, and the others get its recorded
/// result.
///
/// ```ignore
/// use idem_runtime::{Error, MemoryStore, idempotent};
///
/// #[idempotent(key = "order_id")]
/// async fn charge(order_id: &str, cents: u64) -> Result<Receipt, Error> {
///     // as before
/// }
///
/// idem_runtime::install(MemoryStore::new())?;
/// charge("order-1", 500).await?;
/// charge("order-1", 500).await?; // a duplicate: replayed, not run
/// ```
///
/// The key, the fingerprint and the store are computed once, before the body runs. With an installed or given store, a
/// first execution costs two round trips (claim, complete), and a duplicate costs one.
///
/// # Arguments
///
/// A value is a string literal or, where it is an expression or a path, that expression: `key = "order.id"` and
/// `key = order.id` are the same.
///
/// | argument | value | default | meaning |
/// |---|---|---|---|
/// | `key` | expressions over the parameters: `"order_id"`, `"order.id"`, `"tenant, order.id"`, `(tenant, order.id)` | required | what identifies the message; several, or a tuple, make a composite key |
/// | `store` | expression | the installed store | anything that is, or derefs to, a store: a `static`, `self.store`, an `Arc<S>`, an `AnyStore` |
/// | `scope` | string, or the path of a `const` of type `&'static str`, so that what an operator's code asks for has the same name | `module_path!()`, `::` and the function's name | the namespace of the keys. An explicit one survives renames and moves. Required where the default would be shared by different handlers: with `self`, with type or const parameters, with `impl Trait` parameters |
/// | `ttl` | duration | `"7d"` | how long a completed key is remembered, from its completion |
/// | `lease` | duration | `"60s"` | how long a holder may be silent; it is renewed while the handler runs. At most the `ttl` |
/// | `wait` | duration | `"0s"` | how long a duplicate of a running key waits for its result, before it gets `Error::InProgress` |
/// | `fingerprint` | expressions that are `Serialize` | none | the same key with another fingerprint is `Error::KeyReused`. Equal `HashMap`s have one; equal `HashSet`s need not, so give it something ordered |
/// | `on_error` | `"release"`, `"keep"`, `"record"`, `record_if(path)`, or a path to a `fn(&E) -> OnError` | `"release"` | what an `Err` does to the key: frees it; holds it until the lease ends; is recorded and replayed (then `E` is `Serialize` and `Deserialize`); is recorded where a `fn(&E) -> bool` says so. Where it calls another idempotent handler, choose: a recorded `InProgress` of that one is the end of this one's key |
/// | `on_crash` | `"rerun"`, `"park"`, or a path or closure `async Fn(&Claim) -> Result<Option<T>, E>` | `"rerun"` | what becomes of a key whose holder died, panicked or was cancelled, as over HTTP by a client that hangs up (see [below](#what-cancels-a-handler)): runs again; is refused with `Error::OutcomeUnknown` until someone resolves it; the function finds out: `Some(t)` is recorded as the result, `None` runs the handler. The function needs an `async` handler |
/// | `missing_key` | `"error"`, `"run"` | `"error"` | a key that is `None` or empty: `Error::MissingKey`, or run unprotected |
/// | `on_store_error` | `"error"`, `"run"` | `"error"` | the store fails at the claim: refuse, or run unprotected |
/// | `tx` | the name of a parameter that is a reference to a transaction | none | tx mode: the claim and the result are written through it, with the effects of the handler. See `idem_runtime::tx`. Excludes `store`, `lease`, `wait`, `on_error`, `on_crash`, `on_store_error` and `claim` |
/// | `claim` | a name that no parameter has | none | the body finds its `&Claim` under it: `fence()`, `attempt()`, `previous()`, `derive("charge-card")` |
/// | `on_decode` | `"error"`, or a path to a `fn(&DecodeError) -> Result<T, E>` | `"error"` | what a duplicate gets whose record can't be read as `T`, as after a change of the type: `Error::Decode`, or what the function says (see [below](#when-the-type-of-the-result-changes)) |
/// | `crate` | path | `::idem_runtime` | for a renamed or re-exported dependency |
///
/// A duration is one or more numbers with a unit, `d`, `h`, `m`, `s`, `ms` or `us`: `"7d"`, `"1h30m"`, `"500ms"`.
///
/// # What cancels a handler
///
/// A handler is cancelled when its future is dropped: by a time-out around it, by `select!`, by the abort of its task; over HTTP,
/// by a client that closes the connection, and by a time-out layer. The library can't know then what the body has done. With the
/// default `on_crash = "rerun"` the next attempt runs the body again, so it may charge twice. Where a caller can be cancelled,
/// run the call in a task of its own, which is not cancelled with its caller:
///
/// ```ignore
/// let receipt = tokio::spawn(charge(order_id, cents)).await??;
/// ```
///
/// While this task runs, another attempt gets `Error::InProgress`, or waits for the result if `wait` is given. Afterwards it gets
/// the recorded result.
///
/// # When the type of the result changes
///
/// A record is kept for the `ttl`, and later versions of the program read it. A record of another type can't always be read: for
/// example, the handler returned `()` and returns a receipt now. Each duplicate then gets `Error::Decode`. The book has a table of
/// which changes are safe (`docs/src/results.md`). `on_decode` names a function that answers these duplicates:
///
/// ```ignore
/// fn unknown(_: &DecodeError) -> Result<Receipt, ChargeError> {
///     Ok(Receipt::of_an_earlier_version())
/// }
///
/// #[idempotent(key = "order_id", scope = "shop/charge", on_decode = unknown)]
/// async fn charge(order_id: &str) -> Result<Receipt, ChargeError> { /* .. */ }
/// ```
///
/// If the function returns `Ok`, the duplicate gets that value as a replayed result. If it returns `Err`, the duplicate gets that
/// error as the handler's own. Neither is recorded: the next duplicate calls the function again, and an older version of the
/// program still replays the record. Each answer emits the event `unreadable`. The body doesn't run again.
///
/// The function is also called for a recorded error that can't be read, and for a damaged record. It is not called for a result
/// that could not be kept (`Error::ResultUnavailable`). If errors are recorded (`on_error`), check `DecodeError::is_of_error`
/// first: an `Ok` would turn a recorded error into a result. The function is not `async`, in `async` handlers either.
///
/// # Where it can be written
///
/// `async fn` and `fn`; free functions, methods with any receiver, methods of traits with a default body and of
/// implementations, under `#[async_trait]` too; with generics, lifetimes, patterns and `impl Trait` parameters; above and
/// below `#[tracing::instrument]` and `#[tokio::test]`. The return type is one that implements
/// `idem_runtime::HandlerOutput`, such as a `Result<T, E>` of an owned `T: Serialize + DeserializeOwned` and an
/// `E: From<idem_runtime::Error>`, under whatever name.
///
/// # What it refuses
///
/// Anything that isn't a function with a body; `const fn`, foreign ABIs and `main`; a handler that returns nothing, a reference or
/// `impl Trait`; a function that returns a future without being `async`, as its key would be claimed before the future is polled; a
/// key with a name that no parameter has, or that is a float; a method or generic function without a `scope`. All mistakes are
/// reported at once, each at its place. The function is emitted all the same, so that no other error follows.
///
/// # Costs
///
/// The arguments move into the body's future, which holds each of them once. An argument that the body doesn't use after its first
/// `await` takes its place in the future all the same, as it has to be kept until the claim is granted. A `self` by value that the
/// key or the store reads is held twice.
#[proc_macro_attribute]
pub fn idempotent(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rewrite(args.into(), &item.into()).into()
}

/// Writes the idempotent function. After a mistake it writes the errors and the item as it was, so that no other error follows.
fn rewrite(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = errors::Errors::default();
    let args = args::Args::parse(args, &mut errors);
    let function = match syn::parse2::<item::Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = check::not_a_function(item, error).into_compile_error();
            return quote::quote!(#error #item);
        }
    };
    let hidden = hidden::Hidden::find(&function);
    check::check(&args, &function, hidden.as_ref(), &mut errors);
    match errors.into_tokens() {
        None => expand::expand(&args, function, hidden.as_ref()),
        Some(errors) => {
            let item = expand::untouched(&args, &function);
            quote::quote!(#errors #item)
        }
    }
}
