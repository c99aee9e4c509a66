//! What the attribute reads from its arguments, and what it says of mistakes in them.

use proc_macro2::TokenStream;
use quote::quote;

use super::{args, handler, mistakes, one};
use crate::args::Scope;
use crate::policy::{OnCrash, OnError};

fn key(tokens: TokenStream) -> String {
    args(tokens).key.expect("a key").reference(&|_, part| part).to_string()
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
    one(&mistakes(quote!(on_crash = "rurn")), &["did you mean \"rerun\"?", "or an async closure"]);
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
    one(&mistakes(quote!(scope = "shop/TYPE/charge")), &["the scope still holds `TYPE`"]);
    assert_eq!(mistakes(quote!(scope = "shop/TYPES")), [""; 0]);
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
