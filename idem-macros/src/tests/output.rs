//! The function that the attribute writes.

use quote::quote;

use super::{handler, mistakes, one};
use crate::rewrite;

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
    let order =
        ["let __self = self", "let (id , _) = __arg1", "(& (id))", "(& (__self . tenant))", "__self . body (id)"];
    let found: Vec<_> = order.iter().map(|part| inside.find(part)).collect();
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{found:?} in {inside}");
    assert!(inside.contains("match & (__self . store)"), "{inside}");
    one(&mistakes(quote!(key = "__arg1", scope = "s"), function), &["`__arg1` names no parameter"]);
}
