//! The function that the attribute emits: rewritten, or as it was after a mistake.

mod in_transaction;
mod rewrite;
mod under_lease;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use self::rewrite::{Rewrite, krate};
use crate::args::Args;
use crate::borrowed::{take_borrowed, take_mut};
use crate::hidden::Hidden;
use crate::item::{Function, braces};
use crate::key::bindings;

/// The function with the library's calls around its body.
pub(crate) fn expand(args: &Args, mut function: Function, hidden: Option<&Hidden>) -> TokenStream {
    let body = match (hidden, &function.sig.output) {
        (Some(hidden), _) => boxed(args, &function, hidden),
        (None, syn::ReturnType::Type(_, output)) => {
            let output = (**output).clone();
            // In tx mode, the body's future is made after the claim, so the key's borrows have ended by then.
            let borrowed = if function.sig.asyncness.is_some() && args.tx.is_none() {
                take_borrowed(args, &mut function)
            } else {
                Vec::new()
            };
            let rewrite = Rewrite { args, function: &function, output: &output, hidden: None };
            match function.sig.asyncness {
                Some(_) => rewrite.asynchronous(&function.body, &borrowed),
                None => rewrite.blocking(&function.body),
            }
        }
        (None, syn::ReturnType::Default) => function.body.stmts.clone(),
    };
    if let Some(tx) = &args.tx {
        take_mut(tx, &mut function);
    }
    emit(&function, &body)
}

/// The function as it was, for use after a mistake. If `claim` was given, the body may use that variable: it is declared, as
/// otherwise a second error would follow.
pub(crate) fn untouched(args: &Args, function: &Function) -> TokenStream {
    let stmts = &function.body.stmts;
    let is_parameter =
        |claim: &Ident| function.parameters().any(|p| bindings(&p.pat).iter().any(|b| b.ident == *claim));
    let body = match &args.claim {
        Some(claim) if !is_parameter(claim) => {
            let krate = krate(args);
            quote! {
                #[allow(unused_variables)]
                let #claim: &#krate::Claim = #krate::private::never();
                #stmts
            }
        }
        _ => stmts.clone(),
    };
    emit(function, &body)
}

fn emit(function: &Function, body: &TokenStream) -> TokenStream {
    let Function { attrs, vis, default, sig, body: original } = function;
    let inner_attrs = &original.inner_attrs;
    let block = braces(quote!(#(#inner_attrs)* #body), original.span);
    quote!(#(#attrs)* #vis #default #sig #block)
}

// Input:
//     fn f<'async_trait>(self: &'life0 Self, order: Order) -> Pin<Box<dyn Future<Output = Ret> + Send + 'async_trait>> {
//         Box::pin(async move {
//             let __self = self;
//             let order = order;
//             let __ret: Ret = { BODY };
//             __ret
//         })
//     }
//
// Output:
//     fn f<'async_trait>(..) -> Pin<Box<dyn Future<Output = Ret> + Send + 'async_trait>> {
//         Box::pin(async move {
//             let __self = self;
//             let order = order;
//             // as in an `async fn`, with `__self` for `self` in the arguments
//         })
//     }
fn boxed(args: &Args, function: &Function, hidden: &Hidden) -> TokenStream {
    let Hidden { before, pin, prelude, body, output } = hidden;
    let rewrite = Rewrite { args, function, output, hidden: Some(hidden) };
    let rewritten = rewrite.asynchronous(body, &[]);
    quote! {
        #(#before)*
        #pin(async move { #(#prelude)* #rewritten })
    }
}
