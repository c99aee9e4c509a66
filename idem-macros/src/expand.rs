//! What the attribute and `run_once!` emit: the function or block rewritten, or as it was after a mistake.

mod in_transaction;
mod parts;
mod rewrite;
mod under_lease;

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

use self::rewrite::Rewrite;
use crate::args::Args;
use crate::block::Block;
use crate::borrowed::{take_borrowed, take_mut};
use crate::hidden::Hidden;
use crate::item::{Function, braces};
use crate::key::bindings;
use crate::tx::Tx;

/// The function with the library's calls around its body.
pub(crate) fn expand(args: &Args, mut function: Function, hidden: Option<&Hidden>) -> TokenStream {
    let body = match (hidden, &function.sig.output) {
        (Some(hidden), _) => boxed(args, &function, hidden),
        (None, syn::ReturnType::Type(_, output)) => {
            let output = (**output).clone();
            // In tx mode, the body's future is made after the claim, so the key's borrows have ended by then.
            let borrowed = if function.sig.asyncness.is_some() && !args.in_transaction() {
                take_borrowed(args, &mut function)
            } else {
                Vec::new()
            };
            let rewrite = of_function(args, &function, &output, None);
            let body = &function.body;
            match (function.sig.asyncness, &rewrite.tx) {
                (Some(_), None) => rewrite.asynchronous(body, &borrowed),
                (Some(_), Some(tx)) => rewrite.in_transaction(tx, body),
                (None, None) => rewrite.blocking(&rewrite.closure(body)),
                (None, Some(tx)) => rewrite.in_transaction_blocking(tx, &rewrite.closure(body)),
            }
        }
        (None, syn::ReturnType::Default) => function.body.stmts.clone(),
    };
    if let Some(tx) = &args.tx {
        take_mut(tx, &mut function);
    }
    emit(&function, &body)
}

fn of_function<'r>(
    args: &'r Args,
    function: &'r Function,
    output: &'r Type,
    hidden: Option<&'r Hidden>,
) -> Rewrite<'r> {
    let (name, tx) = (Some(&function.sig.ident), Tx::find(args, function));
    Rewrite { args, name, output: Some(output), output_place: output.span(), hidden, tx }
}

/// What `run_once!` evaluates to: a future, or the value of a sync block.
pub(crate) fn run_once(args: &Args, block: &Block) -> TokenStream {
    let tx = args.tx_reference.as_ref().map(Tx::Reference);
    let output_place = block.output().map_or(block.place, Type::span);
    let rewrite = Rewrite { args, name: None, output: block.output(), output_place, hidden: None, tx };
    let bind_claim = rewrite.bind_claim().unwrap_or_default();
    let value = match (block.asyncness, &rewrite.tx) {
        (Some(_), None) => rewrite.asynchronous_block(block),
        (Some(_), Some(tx)) => rewrite.in_transaction_block(tx, block),
        (None, None) => rewrite.blocking_block(&block.closure(None, &bind_claim)),
        (None, Some(tx)) => rewrite.in_transaction_blocking(tx, &block.closure(None, &bind_claim)),
    };
    quote!({ #value })
}

/// The block as it was, for use after a mistake. It is not run.
pub(crate) fn untouched_block(args: &Args, block: &Block) -> TokenStream {
    let claim = args.claim.as_ref().map(|claim| declare(claim, args)).unwrap_or_default();
    let closure = block.closure(None, &claim);
    quote!(let _ = #closure;)
}

/// A variable for the claim that is never read.
fn declare(claim: &Ident, args: &Args) -> TokenStream {
    let krate = args.library();
    quote! {
        #[allow(unused_variables)]
        let #claim: &#krate::Claim = #krate::private::never();
    }
}

/// The function as it was, for use after a mistake. If `claim` was given, the body may use that variable: it is declared, as
/// otherwise a second error would follow.
pub(crate) fn untouched(args: &Args, function: &Function) -> TokenStream {
    let stmts = &function.body.stmts;
    let is_parameter =
        |claim: &Ident| function.parameters().any(|p| bindings(&p.pat).iter().any(|b| b.ident == *claim));
    let body = match &args.claim {
        Some(claim) if !is_parameter(claim) => {
            let claim = declare(claim, args);
            quote!(#claim #stmts)
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
    let rewrite = of_function(args, function, output, Some(hidden));
    let rewritten = match &rewrite.tx {
        None => rewrite.asynchronous(body, &[]),
        Some(tx) => rewrite.in_transaction(tx, body),
    };
    quote! {
        #(#before)*
        #pin(async move { #(#prelude)* #rewritten })
    }
}
