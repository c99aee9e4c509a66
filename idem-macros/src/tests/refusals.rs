//! Keys, functions and items that the attribute refuses.

use proc_macro2::TokenStream;
use quote::quote;

use super::{handler, mistakes, one};
use crate::rewrite;

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
fn a_name_that_the_body_makes_is_told_apart() {
    let told = |body: TokenStream| {
        mistakes(
            quote!(key = order.id),
            quote!(async fn handle(text: &str, orders: &str) -> Result<(), Error> { #body }),
        )
    };
    for makes in [
        quote!(let order = parse(text)?;),
        quote!(let Some(Parsed { order, .. }) = parse(text) else { return Ok(()) };),
        quote!(for order in parse(text) {}),
        quote!(texts.iter().for_each(|order| charge(order));),
        quote!(match parse(text) {
            Ok(order) => {}
            Err(_) => {}
        }),
        quote!(if let Some(order) = parse(text) {}),
    ] {
        one(&told(makes), &["`order` is made in the body: use `run_once!` behind it", "a function that takes `order`"]);
    }
    one(&told(quote!(orders.order();)), &["`order` names no parameter: did you mean `orders`?"]);
    one(&told(quote!(let order = text. ;)), &["`order` names no parameter"]);
}

#[test]
fn an_empty_or_impossible_key_is_refused() {
    let mistakes = |key: TokenStream| mistakes(quote!(key = #key), handler());
    one(&mistakes(quote!("")), &["`key` is empty"]);
    one(&mistakes(quote!(())), &["`key` is empty"]);
    one(&mistakes(quote!("order id")), &["\"order id\", which is not a Rust expression"]);
    one(&super::mistakes(quote!(), handler()), &["needs a key"]);
    let float = quote!(
        async fn handle(price: &f64) -> Result<(), Error> {
            Ok(())
        }
    );
    one(&super::mistakes(quote!(key = *price), float), &["`price` is a float"]);
}

#[test]
fn what_reads_like_a_template_is_refused() {
    let function = quote!(
        async fn handle(tenant: u64, order: &Order, id: u64) -> Result<(), Error> {
            Ok(())
        }
    );
    let mistakes = |key: TokenStream| mistakes(quote!(key = #key), function.clone());
    let both = "write `key = \"tenant, id\"`, or `key = format!(\"{tenant}-{id}\")`";
    for key in [quote!("tenant-id"), quote!("{tenant}-{id}"), quote!(tenant - id)] {
        one(&mistakes(key), &[both, "put it in parentheses"]);
    }
    for (key, phrases) in [
        (quote!("tenant/id"), ["`tenant / id` is computed with `/`", "`key = format!(\"{tenant}/{id}\")`"]),
        (quote!("id-1"), ["two different messages can get one key", "write `key = \"id\"`, or put it in"]),
        (quote!("order-{id}"), ["`key = \"order, id\"`", "`key = format!(\"order-{id}\")`"]),
        (quote!("order-{}"), ["`key = \"order\"`", "put it in parentheses"]),
        (quote!("tenant, f(id)|id"), ["`f (id) | id` is computed", "`key = \"f (id), id\"`, or put it in"]),
        (quote!((tenant, (order, id == tenant))), ["computed with `==`", "`key = \"id, tenant\"`"]),
        (quote!("{id}"), ["`{ id }` is a block of code", "write `key = \"id\"`, or put it in"]),
        (quote!("order_{id}"), ["is a value of a struct", "`key = \"id\"`"]),
        (quote!("order:{id}"), ["not a Rust expression", "write `key = format!(\"order:{id}\")`"]),
        (quote!("{tenant}_{id:?}"), ["not a Rust expression", "write `key = format!(\"{tenant}_{id:?}\")`"]),
    ] {
        one(&mistakes(key), &phrases);
    }
    for taken in [
        quote!((tenant - id)),
        quote!("(tenant - id)"),
        quote!(pair(tenant - id, id).0),
        quote!(id as u8),
        quote!(-id),
        quote!(!id),
        quote!(Key { id }),
    ] {
        assert_eq!(mistakes(taken.clone()), [""; 0], "{taken}");
    }
    let fingerprint = super::mistakes(quote!(key = id, fingerprint = "tenant-id", scope = "{tenant}"), function);
    assert_eq!(fingerprint.len(), 2, "{fingerprint:#?}");
    assert!(fingerprint[0].contains("the scope is a fixed text"), "{fingerprint:#?}");
    assert!(fingerprint[1].contains("two different messages can get one fingerprint"), "{fingerprint:#?}");
}

#[test]
fn the_function_decides_what_else_is_needed() {
    let mistakes = |function: TokenStream| mistakes(quote!(key = "1"), function);
    let told = [
        (
            quote!(
                async fn f(&self) -> Result<(), Error> {}
            ),
            "add `scope = \"TYPE/f\"`",
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
            "move the body into a function of its own, or use `run_once!`",
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
                async fn f() -> Result<Vec<impl Debug>, Error> {}
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
