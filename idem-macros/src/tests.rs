//! The attribute on token streams: what it reads, what it refuses, what it writes.

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::{Args, Scope};
use crate::errors::Errors;
use crate::hidden::Hidden;
use crate::item::Function;
use crate::policy::{OnCrash, OnError};
use crate::{check, rewrite};

fn args(tokens: TokenStream) -> Args {
    let mut errors = Errors::default();
    let args = Args::parse(tokens, &mut errors);
    assert_eq!(errors.messages(), [""; 0]);
    args
}

/// What is said of these arguments on this function.
fn mistakes(tokens: TokenStream, function: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let args = Args::parse(tokens, &mut errors);
    let function: Function = syn::parse2(function).expect("a function");
    let hidden = Hidden::find(&function);
    check::check(&args, &function, hidden.as_ref(), &mut errors);
    errors.messages()
}

fn handler() -> TokenStream {
    quote!(
        async fn handle(order_id: &str, cents: u64) -> Result<(), Error> {
            Ok(())
        }
    )
}

/// Asserts that there is one mistake, and that it is described with each of these phrases.
#[track_caller]
fn one(mistakes: &[String], phrases: &[&str]) {
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    for phrase in phrases {
        assert!(mistakes[0].contains(phrase), "`{phrase}` is not in: {}", mistakes[0]);
    }
}

fn key(tokens: TokenStream) -> String {
    args(tokens).key.expect("a key").reference().to_string()
}

#[test]
fn a_key_is_one_expression_or_a_composite() {
    assert_eq!(key(quote!(key = "order_id")), "& (order_id)");
    assert_eq!(key(quote!(key = order_id)), "& (order_id)");
    assert_eq!(key(quote!(key = r"order.id")), "& (order . id)");
    for both in [quote!(key = "tenant, order.id"), quote!(key = (tenant, order.id)), quote!(key = "(tenant, order.id)")]
    {
        assert_eq!(key(both), "& (& (tenant) , & (order . id) ,)");
    }
    assert_eq!(key(quote!(key = (id,))), "& (& (id) ,)", "a tuple of one is a composite");
    assert_eq!(key(quote!(key = "(a, b), c")), "& (& (& (a) , & (b) ,) , & (c) ,)", "nothing moves into a tuple");
    assert_eq!(key(quote!(key = id::<A, B>(c), ttl = "1d")), "& (id :: < A , B > (c))");
}

#[test]
fn every_argument_is_read() {
    let args = args(quote!(
        key = "id",
        store = "self.store",
        scope = "a/b",
        ttl = "1d",
        lease = "5s",
        wait = "0s",
        fingerprint = (a, b),
        on_error = record_if(is_final),
        on_crash = "park",
        missing_key = "run",
        on_store_error = "run",
        claim = c,
        on_decode = unknown,
        crate = ::other::path,
    ));
    assert_eq!(args.store.map(|store| quote!(#store).to_string()).as_deref(), Some("self . store"));
    assert!(matches!(args.scope, Some(Scope::Text(text)) if text.value() == "a/b"));
    assert_eq!(args.ttl.map(|ttl| ttl.nanos), Some(86_400_000_000_000));
    assert_eq!(args.lease.map(|lease| lease.nanos), Some(5_000_000_000));
    assert_eq!(args.wait.map(|wait| wait.nanos), Some(0));
    assert!(args.fingerprint.is_some());
    assert!(matches!(args.on_error, OnError::RecordIf(path) if path.is_ident("is_final")));
    assert!(matches!(args.on_crash, OnCrash::Park));
    assert!(args.run_without_key && args.run_without_store);
    assert!(args.claim.is_some_and(|claim| claim == "c"));
    assert!(args.on_decode.is_some_and(|path| path.is_ident("unknown")));
    assert!(args.krate.is_some());
}

#[test]
fn a_policy_is_a_keyword_in_quotes_or_a_path() {
    assert!(matches!(args(quote!(on_error = "keep")).on_error, OnError::Keep));
    assert!(matches!(args(quote!(on_error = "release")).on_error, OnError::Release));
    assert!(matches!(args(quote!(on_error = "record")).on_error, OnError::Record(_)));
    assert!(matches!(args(quote!(on_error = "record_if(a::b)")).on_error, OnError::RecordIf(_)));
    for path in [quote!(on_error = decide), quote!(on_error = "decide"), quote!(on_error = self::keep)] {
        assert!(matches!(args(path).on_error, OnError::Decide(_)));
    }
    assert!(matches!(args(quote!(on_crash = "rerun")).on_crash, OnCrash::Rerun));
    assert!(matches!(args(quote!(on_crash = find_out)).on_crash, OnCrash::Path(_)));
    assert!(matches!(args(quote!(on_crash = async |_: &Claim| Ok(None))).on_crash, OnCrash::Closure(_)));
    assert!(args(quote!(on_decode = "error")).on_decode.is_none());
    for path in [quote!(on_decode = unknown::<T>), quote!(on_decode = "unknown"), quote!(on_decode = self::error)] {
        assert!(args(path).on_decode.is_some());
    }
}

#[test]
fn mistakes_in_arguments_are_told_with_their_cure() {
    let mistakes = |tokens: TokenStream| mistakes(quote!(key = order_id, #tokens), handler());
    one(&mistakes(quote!(tttl = "1d")), &["unknown argument `tttl`: did you mean `ttl`?", "`on_store_error`"]);
    one(&mistakes(quote!(color = "red")), &["unknown argument `color`: the arguments are `key`"]);
    one(&mistakes(quote!(ttl = "1d", ttl = "2d")), &["`ttl` is given twice"]);
    one(&mistakes(quote!(ttl)), &["`ttl` needs a value: write `ttl = \"7d\"`"]);
    one(&mistakes(quote!(wait = 5)), &["write `wait = \"5s\"`"]);
    one(&mistakes(quote!(wait = 5s)), &["write `wait = \"5s\"`"]);
    one(&mistakes(quote!(lease = "8d")), &["the lease (8d) is longer than the ttl (7d)"]);
    one(&mistakes(quote!(ttl = "0s")), &["`ttl` can't be zero"]);
    one(&mistakes(quote!(on_error = "relase")), &["did you mean \"release\"?"]);
    one(&mistakes(quote!(on_error = "ignore")), &["`\"release\"`, `\"keep\"`, `\"record\"`", "without quotes"]);
    one(&mistakes(quote!(on_error = keep)), &["write `on_error = \"keep\"`", "`self::keep`"]);
    one(&mistakes(quote!(on_error = record_if(a, b))), &["the path of one function"]);
    one(&mistakes(quote!(on_crash = "rurn")), &["did you mean \"rerun\"?"]);
    one(&mistakes(quote!(on_crash = |claim| find(claim))), &["write `async |claim| ...`"]);
    one(&mistakes(quote!(on_decode = "eror")), &["did you mean \"error\"?"]);
    one(&mistakes(quote!(on_decode = "run")), &["fn(&DecodeError) -> Result<T, E>"]);
    one(&mistakes(quote!(on_decode = error)), &["write `on_decode = \"error\"`", "`self::error`"]);
    one(&mistakes(quote!(on_decode = |_| Ok(0))), &["fn(&DecodeError) -> Result<T, E>"]);
    one(&mistakes(quote!(missing_key = "eror")), &["did you mean \"error\"?"]);
    one(&mistakes(quote!(on_store_error = run)), &["`\"error\"` or `\"run\"`"]);
    one(&mistakes(quote!(tx = "tx.inner")), &["the name of the parameter that is the transaction"]);
    one(&mistakes(quote!(tx = "ordr_id")), &["did you mean `order_id`?"]);
    one(&mistakes(quote!(tx = cents)), &["`cents` has to be a reference"]);
    one(&mistakes(quote!(tx = order_id, lease = "5s")), &["`lease` can't be given with `tx`"]);
    one(&mistakes(quote!(scope = " ")), &["the scope is empty"]);
    one(&mistakes(quote!(claim = self)), &["the name of a new variable"]);
    one(&mistakes(quote!(claim = cents)), &["`cents` is a parameter already"]);
    assert_eq!(mistakes(quote!(wait = "0s", ttl = "1h", lease = "1h")), [""; 0]);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mistakes = mistakes(
        quote!(kye = order_id, ttl = "7", on_crash = "parc", fingerprint = "cent", claim = order_id, 5, wait = "1s" "2s"),
        quote!(
            fn handle(order_id: &str, cents: u64) {}
        ),
    );
    let told: Vec<&str> = mistakes.iter().map(|mistake| mistake.split([':', '?']).next().unwrap_or_default()).collect();
    assert_eq!(
        told,
        [
            "unknown argument `kye`",
            "`ttl = \"7\"` is not a duration",
            "unknown value of `on_crash`",
            "expected an argument, such as `key = \"order_id\"`",
            "arguments are separated by a comma",
            "this handler returns nothing, but the caller has to be told when a call is refused",
            "`cent` names no parameter",
            "`order_id` is a parameter already",
        ]
    );
}

#[test]
fn a_name_in_a_key_is_a_parameter() {
    let mistakes = |key: TokenStream| mistakes(quote!(key = #key), handler());
    one(&mistakes(quote!("ordr_id")), &["`ordr_id` names no parameter: did you mean `order_id`?", "`cents`"]);
    one(&mistakes(quote!(amount.to_string())), &["`amount` names no parameter: the parameters are"]);
    one(&mistakes(quote!(hash(centz))), &["did you mean `cents`?"]);
    for known in [
        quote!(order_id),
        quote!(*order_id),
        quote!(hash(order_id, TABLE)),
        quote!(self::hash(order_id)),
        quote!(order_id.split('-').map(normalize).next()),
        quote!(order_id.split('-').find(|part| part.len() > 2)),
        quote!(format!("{order_id}{other}")),
        quote!(Key { order_id, amount: cents }),
        quote!(match order_id {
            "" => None,
            other => Some(other),
        }),
        quote!({
            let joined = cents + 1;
            joined
        }),
        quote!("\"a constant\""),
    ] {
        assert_eq!(mistakes(known.clone()), [""; 0], "{known}");
    }
}

#[test]
fn an_empty_or_impossible_key_is_refused() {
    let mistakes = |key: TokenStream| mistakes(quote!(key = #key), handler());
    one(&mistakes(quote!("")), &["`key` is empty"]);
    one(&mistakes(quote!(())), &["`key` is empty"]);
    one(&mistakes(quote!("order id")), &["\"order id\", which is not a Rust expression"]);
    one(&super::tests::mistakes(quote!(), handler()), &["needs a key"]);
    let float = quote!(
        async fn handle(price: &f64) -> Result<(), Error> {
            Ok(())
        }
    );
    one(&super::tests::mistakes(quote!(key = *price), float), &["`price` is a float"]);
}

#[test]
fn the_function_decides_what_else_is_needed() {
    let mistakes = |function: TokenStream| mistakes(quote!(key = "1"), function);
    let told = [
        (
            quote!(
                async fn f(&self) -> Result<(), Error> {}
            ),
            "a method has to name the scope",
        ),
        (
            quote!(
                async fn f(self: Arc<Self>) -> Result<(), Error> {}
            ),
            "a method has to name the scope",
        ),
        (
            quote!(
                async fn f<T>(t: T) -> Result<(), Error> {}
            ),
            "a generic function has to name the scope",
        ),
        (
            quote!(
                async fn f<const N: usize>() -> Result<(), Error> {}
            ),
            "a generic function has to name the scope",
        ),
        (
            quote!(
                async fn f(t: &impl Display) -> Result<(), Error> {}
            ),
            "`impl Trait` parameter has to name the scope",
        ),
        (
            quote!(
                async fn f() {}
            ),
            "returns nothing",
        ),
        (
            quote!(
                async fn f() -> () {}
            ),
            "returns nothing",
        ),
        (
            quote!(
                async fn f() -> ! {}
            ),
            "never returns",
        ),
        (
            quote!(
                async fn f() -> impl Debug {}
            ),
            "can't return `impl Trait`",
        ),
        (
            quote!(
                async fn f(a: &str) -> Result<&str, Error> {}
            ),
            "can't hold a reference",
        ),
        (
            quote!(
                async fn f(a: &str) -> Result<Vec<&'static str>, Error> {}
            ),
            "can't hold a reference",
        ),
        (
            quote!(
                const fn f() -> Result<(), Error> {}
            ),
            "`const fn`",
        ),
        (
            quote!(
                extern "C" fn f() -> Result<(), Error> {}
            ),
            "foreign ABI",
        ),
        (
            quote!(
                fn main() -> Result<(), Error> {}
            ),
            "`main` can't be idempotent",
        ),
        (
            quote!(
                fn f() -> impl Future<Output = Result<(), Error>> {}
            ),
            "returns a future",
        ),
        (
            quote!(
                fn f() -> BoxFuture<'static, Result<(), Error>> {}
            ),
            "returns a future",
        ),
        (
            quote!(
                fn f() -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> {}
            ),
            "returns a future",
        ),
    ];
    for (function, phrase) in told {
        one(&mistakes(function), &[phrase]);
    }
    for taken in [
        quote!(
            async fn f<'a>(a: &'a str) -> Result<String, Error> {}
        ),
        quote!(
            extern "Rust" fn f() -> Result<(), Error> {}
        ),
        quote!(
            unsafe fn f() -> Result<(), Error> {}
        ),
        quote!(
            fn f() -> Alias {}
        ),
        quote!(
            async fn f(a: &str) -> Result<String, Failure<'_>> {}
        ),
    ] {
        assert_eq!(mistakes(taken.clone()), [""; 0], "{taken}");
    }
}

#[test]
fn an_item_that_is_no_function_is_named() {
    for (item, phrase) in [
        (
            quote!(
                struct Order;
            ),
            "a struct",
        ),
        (
            quote!(
                pub enum Order {}
            ),
            "an enum",
        ),
        (quote!(impl Order {}), "an `impl` block"),
        (
            quote!(
                trait Handle {}
            ),
            "a trait",
        ),
        (
            quote!(
                mod handlers {}
            ),
            "a module",
        ),
        (
            quote!(
                fn handle(&self);
            ),
            "no body",
        ),
    ] {
        let output = rewrite(quote!(key = "id"), &item).to_string();
        assert!(output.contains(phrase), "{output}");
        assert!(output.ends_with(&item.to_string()), "the item is still there: {output}");
    }
}

#[test]
fn after_a_mistake_the_function_is_emitted_as_it_was() {
    let function = handler();
    let output = rewrite(quote!(key = "ordr_id"), &function).to_string();
    assert!(output.starts_with(":: core :: compile_error"), "{output}");
    assert!(output.ends_with(&function.to_string()), "{output}");
}

#[test]
fn the_body_is_opaque() {
    let half_typed = quote!(async fn handle(id: u64) -> Result<(), Error> { let x = id. ; if {} });
    let output = rewrite(quote!(key = id), &half_typed).to_string();
    assert!(output.contains("let x = id . ; if { }"), "{output}");
}

#[test]
fn only_what_the_key_borrows_is_moved_about() {
    let function = quote!(
        async fn handle(mut id: String, mut other: String) -> Result<(), Error> {
            BODY
        }
    );
    let output = rewrite(quote!(key = "id"), &function).to_string();
    assert!(output.starts_with("async fn handle (id : String , mut other : String)"), "{output}");
    assert!(output.contains("let (mut call , mut id) ="), "{output}");
    assert!(output.contains("let (mut id ,) = (id ,)"), "{output}");
    let output = rewrite(
        quote!(key = "id"),
        &quote!(
            fn handle(mut id: String) -> Result<(), Error> {
                BODY
            }
        ),
    )
    .to_string();
    assert!(output.starts_with("fn handle (mut id : String)"), "{output}");
}

#[test]
fn what_async_trait_wrote_is_rewritten_inside() {
    let function = quote! {
        fn handle<'life0, 'async_trait>(
            &'life0 self,
            __arg1: (u64, u64),
        ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Result<u64, Error>> + ::core::marker::Send + 'async_trait>>
        where
            'life0: 'async_trait,
        {
            Box::pin(async move {
                if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<Result<u64, Error>> {
                    return __ret;
                }
                let __self = self;
                let (id, _) = __arg1;
                let __ret: Result<u64, Error> = { __self.body(id) };
                __ret
            })
        }
    };
    let output = rewrite(quote!(key = "id, self.tenant", scope = "s", store = self.store), &function).to_string();
    let inside = output.split_once("Box :: pin (async move {").expect("the future is still boxed").1;
    let order = [
        "let __self = self",
        "let (id , _) = __arg1",
        "key (& (& (id) , & (__self . tenant) ,))",
        "__self . body (id)",
    ];
    let found: Vec<_> = order.iter().map(|part| inside.find(part)).collect();
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{found:?} in {inside}");
    assert!(inside.contains("match & (__self . store)"), "{inside}");
    one(&mistakes(quote!(key = "__arg1", scope = "s"), function), &["`__arg1` names no parameter"]);
}
