//! The `#[idempotent]` attribute and the `run_once!` macro of `idem-runtime`. Depend on `idem-runtime`, which re-exports it, and not on this
//! crate.

mod args;
mod block;
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

use proc_macro2::{Span, TokenStream};
use syn::parse::{ParseStream, Parser as _};

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
/// # What to annotate
///
/// Annotate the function that does what must happen once, and nothing else. A duplicate doesn't run its body. So what has to happen
/// for every delivery stands outside: parsing, authentication, validation, acknowledging. Two examples of what happens otherwise:
///
/// - A body acknowledges its message. Of three deliveries of an order, one is acknowledged, and the broker delivers the others again.
/// - A webhook checks its request's signature in its body, and answers `Ok(401)` to a forged one. Someone guesses the id of an event.
///   The 401 is recorded as the result of that event, the genuine request gets it too, and the event never runs.
///
/// A body that finds that a message is not for it returns `Outcome::Skipped`, or calls `claim.skip()`. Nothing is recorded then, and
/// the next delivery runs. The book shows all three with code (`docs/src/choosing.md`).
///
/// # Arguments
///
/// A value is a string literal. An expression or a path can also be written without quotes: `key = "order.id"` and
/// `key = order.id` are the same.
///
/// | argument | value | default | meaning |
/// |---|---|---|---|
/// | `key` | expressions over the parameters: `"order_id"`, `"order.id"`, `"tenant, order.id"`, `(tenant, order.id)` | required | what identifies the message. Several expressions, or a tuple, make a composite key. For a message without an id, `idem_runtime::key::digest` makes one |
/// | `store` | expression | the installed store | anything that is, or derefs to, a store: a `static`, `self.store`, an `Arc<S>` or an `AnyStore` |
/// | `scope` | string, or the path of a `const` of type `&'static str`, which an operator's code can use too | `module_path!()`, `::` and the function's name | the namespace of the keys. An explicit scope stays the same when the function is renamed or moved. It is required where different handlers would share the default: with `self`, with type or const parameters, and with `impl Trait` parameters |
/// | `ttl` | duration | `"7d"` | how long a completed key is remembered, counted from its completion |
/// | `lease` | duration | `"60s"` | how long a holder keeps its key without a renewal. The lease is renewed while the handler runs. It is at most the `ttl` |
/// | `wait` | duration | `"0s"` | how long a duplicate waits for the result of the call that is running, before it gets `Error::InProgress` |
/// | `fingerprint` | expressions that are `Serialize` | none | a call with the same key and another fingerprint gets `Error::KeyReused`. Equal `HashMap`s have equal fingerprints. Equal `HashSet`s may not, so name an ordered collection |
/// | `on_error` | `"release"`, `"keep"`, `"record"`, `record_if(path)`, or a path to a `fn(&E) -> OnError` | `"release"` | what an `Err` does to the key. `"release"` frees it. `"keep"` holds it until the lease ends. `"record"` records the error, to be replayed, for which `E` has to be `Serialize` and `Deserialize`. `record_if` records an error where a `fn(&E) -> bool` returns `true`, and else frees the key. A `fn(&E) -> OnError` chooses between `"release"` and `"keep"`. A handler that calls another idempotent handler must not record that one's refusals: once its `InProgress` is recorded, each duplicate gets it |
/// | `on_crash` | `"rerun"`, `"park"`, or a path or closure `async Fn(&Claim) -> Result<Option<T>, E>` | `"rerun"` | what the next call does with a key whose holder died, panicked or was cancelled (see [below](#what-cancels-a-handler)). `"rerun"` runs the handler again. `"park"` refuses the call with `Error::OutcomeUnknown` until an operator resolves the key. A function finds out what happened: its `Some(t)` is recorded as the result, and at its `None` the handler runs. The function needs an `async` handler |
/// | `missing_key` | `"error"`, `"run"` | `"error"` | what a call does whose key is `None` or empty: get `Error::MissingKey`, or run without protection |
/// | `on_store_error` | `"error"`, `"run"` | `"error"` | what a call does when the store fails at the claim: get `Error::Store`, or run without protection |
/// | `tx` | the name of a parameter that is a reference to a transaction | none | tx mode: the claim and the result are written in this transaction, together with what the handler writes. See `idem_runtime::tx`. Excludes `store`, `lease`, `wait`, `on_error`, `on_crash`, `on_store_error` and `claim` |
/// | `claim` | a name that no parameter has | none | the body has its `&Claim` in a variable of this name: `fence()`, `attempt()`, `previous()`, `derive("charge-card")`, `skip()` |
/// | `on_decode` | `"error"`, or a path to a `fn(&DecodeError) -> Result<T, E>` | `"error"` | what a duplicate gets if its record can't be read as `T`, as after a change of the type: `Error::Decode`, or what the function returns (see [below](#when-the-type-of-the-result-changes)) |
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
/// - `async fn` and `fn`.
/// - Free functions, methods with any receiver, trait methods with a default body, and methods in an `impl` of a trait,
///   with `#[async_trait]` too.
/// - Functions with generics, lifetimes, patterns and `impl Trait` parameters.
/// - Functions with `#[tracing::instrument]` or `#[tokio::test]`, above or below it.
///
/// The return type has to implement `idem_runtime::HandlerOutput`. `Result<T, E>` does, and an alias of it, where `T`
/// is an owned `Serialize + DeserializeOwned` and `E` is `From<idem_runtime::Error>`.
///
/// # What it refuses
///
/// Anything that isn't a function with a body; `const fn`, foreign ABIs and `main`; a handler that returns nothing, a reference or
/// `impl Trait`; a function that returns a future without being `async`, as its key would be claimed before the future is polled; a
/// key with a name that no parameter has, that is a float, or that reads like a template, such as `"tenant-order"`, which would subtract;
/// a method or generic function without a `scope`. All mistakes are
/// reported at once, each at its place. The function is emitted all the same, so that no other error follows.
///
/// # Costs
///
/// The arguments move into the body's future, which holds each of them once. An argument that the body doesn't use after its first
/// `await` takes its place in the future all the same, as it has to be kept until the claim is granted. A `self` by value that the
/// key or the store reads is held twice.
#[cfg(any(proc_macro, test))]
#[proc_macro_attribute]
pub fn idempotent(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rewrite(args.into(), &item.into()).into()
}

/// Runs a block once for each key, for a key that is made in the body of a function, in a loop or in a closure.
#[cfg(any(proc_macro, test))]
#[proc_macro]
pub fn run_once(tokens: proc_macro::TokenStream) -> proc_macro::TokenStream {
    once(tokens.into()).into()
}

/// The attribute on token streams. `fuzz/attribute` builds this crate as a library, which no other crate can link as it is.
#[cfg(all(fuzzing, not(proc_macro)))]
pub fn attribute(args: TokenStream, item: &TokenStream) -> TokenStream {
    rewrite(args, item)
}

/// `run_once!` on token streams, for `fuzz/attribute` too.
#[cfg(all(fuzzing, not(proc_macro)))]
pub fn block(tokens: TokenStream) -> TokenStream {
    once(tokens)
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

/// Writes what `run_once!` evaluates to. After a mistake it writes the errors and the block as it was.
fn once(tokens: TokenStream) -> TokenStream {
    let mut errors = errors::Errors::default();
    let end = tokens.clone().into_iter().last().map_or_else(Span::call_site, |token| token.span());
    let parse = |input: ParseStream<'_>| {
        let args = args::Args::before_block(input, &mut errors)?;
        let block = if input.is_empty() { None } else { Some(block::Block::parse(input)?) };
        Ok((args, block))
    };
    let parsed = parse.parse2(tokens);
    let (args, block) = match parsed {
        Ok((args, Some(block))) => (args, block),
        Ok((_, None)) => {
            // After a mistake in the arguments, the block may have been taken for a part of them.
            if errors.is_empty() {
                errors.push(block::missing(end));
            }
            return unparsed(errors);
        }
        Err(error) => {
            errors.push(error);
            return unparsed(errors);
        }
    };
    let compiles = check::block::check(&args, &block, &mut errors);
    match errors.into_tokens() {
        None => expand::run_once(&args, &block),
        Some(errors) => {
            let block = compiles.then(|| expand::untouched_block(&args, &block));
            quote::quote!({ #block #errors })
        }
    }
}

fn unparsed(errors: errors::Errors) -> TokenStream {
    let errors = errors.into_tokens();
    quote::quote!({ #errors })
}
