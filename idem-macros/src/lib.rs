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

/// Makes a handler idempotent: the messages that have one key run it once, and the others get the recorded result.
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
/// The key, the fingerprint and the store are computed before the body runs, once. With an installed or given store, a
/// first execution costs two round trips (claim, complete), a duplicate one.
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
/// Whoever drops its future: a time-out around it, `select!`, an aborted task; over HTTP, a client that hangs up, and a time-out
/// layer. Nobody knows then what the body has done, and with the default `on_crash = "rerun"` the next attempt runs it again: it
/// may charge twice. Where callers come and go, run the call in a task of its own, which no caller cancels:
///
/// ```ignore
/// let receipt = tokio::spawn(charge(order_id, cents)).await??;
/// ```
///
/// The next attempt is then `Error::InProgress`, waits with `wait`, or replays.
///
/// # When the type of the result changes
///
/// A record is kept for the `ttl`, and later versions of the program read it. One that they can't read, as of a handler that
/// returned `()` and returns a receipt now, is `Error::Decode` for each duplicate. The book has a table of which changes are
/// safe (`docs/src/results.md`). `on_decode` names what those duplicates get:
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
/// An `Ok` is returned as a replayed result, an `Err` as the handler's own error. Neither is recorded: the next duplicate asks
/// again, and an older version still replays what it can read. Each answer tells the event `unreadable`. The body doesn't run
/// again. The function also answers for a recorded error that can't be read, and for a record that was damaged; not for a
/// result that could not be kept (`Error::ResultUnavailable`). Where errors were recorded, ask `DecodeError::is_of_error`: an
/// `Ok` would turn one into a result. It asks no store, and is a plain function in `async` handlers too.
///
/// # What it goes on
///
/// `async fn` and `fn`; free functions, methods with any receiver, methods of traits with a default body and of
/// implementations, under `#[async_trait]` too; with generics, lifetimes, patterns and `impl Trait` parameters; above and
/// below `#[tracing::instrument]` and `#[tokio::test]`. The return type is one that implements
/// `idem_runtime::HandlerOutput`, such as a `Result<T, E>` of an owned `T: Serialize + DeserializeOwned` and an
/// `E: From<idem_runtime::Error>`, under whatever name.
///
/// # What it refuses
///
/// Anything that isn't a function with a body; `const fn`, foreign ABIs and `main`; a handler that returns nothing, a
/// reference, `impl Trait`, or, without being `async`, a future: such a body would be claimed before it is polled. A key
/// with a name that no parameter has, a float as a key, a method or generic function without a `scope`. All mistakes are reported at
/// once, where they were made, and the function is emitted all the same.
///
/// # Costs
///
/// The arguments move into the body's future, and are not kept a second time. An argument that the body is done with
/// before its first `await` still takes its place in the future, as it has to outlast the claim; by-value `self` that the
/// key or the store reads is kept twice.
#[proc_macro_attribute]
pub fn idempotent(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rewrite(args.into(), &item.into()).into()
}

/// After a mistake, the item is emitted as it was, beside the errors: nothing else breaks.
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
