//! The rewritten function in lease mode.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::rewrite::{Rewrite, local};
use crate::borrowed::Borrowed;
use crate::item::Body;
use crate::tx::Tx;

impl Rewrite<'_> {
    // Input:
    //     async fn f(order_id: String, cents: u64) -> Ret { BODY }
    //
    // Output:
    //     async fn f(order_id: String, cents: u64) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, ..>();
    //         let (mut call, order_id) = {
    //             let (order_id,) = (order_id,);
    //             let call = Call::new(site, installed(), key(&(order_id)), FingerprintInput::None, None);
    //             (call, order_id)
    //         };
    //         let body = async move {
    //             if false { return never::<Ret>(); }
    //             { BODY }
    //         };
    //         let body = pin!(body);
    //         run(&mut call, body, ops, ReleaseErrors, NoReconcile, RefuseUnreadable).await
    //     }
    pub(super) fn asynchronous(&self, body: &Body, borrowed: &[Borrowed]) -> TokenStream {
        if let Some(tx) = Tx::find(self.args, self.function) {
            return self.in_transaction(&tx, body);
        }
        let p = self.private();
        let output = self.output;
        let (call_name, body_name, ops) = (local("call"), local("body"), local("ops"));
        let setup = self.setup();
        let call = self.call();
        let bind_claim = self.bind_claim();
        let (on_error, on_crash, on_decode) = (self.on_error(), self.on_crash(), self.on_decode());
        let names: Vec<&Ident> = borrowed.iter().map(|borrowed| &borrowed.ident).collect();
        let muts: Vec<Option<TokenStream>> =
            borrowed.iter().map(|borrowed| borrowed.mutable.then(|| quote!(mut))).collect();
        let bind_call = if names.is_empty() {
            quote!(let mut #call_name = #call;)
        } else {
            // The user's own `mut` is on the variable that the body gets: there the compiler warns if it isn't needed.
            let allow_mut = borrowed.iter().any(|borrowed| borrowed.mutable).then(|| quote!(#[allow(unused_mut)]));
            quote! {
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    clippy::shadow_unrelated,
                    clippy::used_underscore_binding
                )]
                let (mut #call_name, #(#muts #names),*) = {
                    #allow_mut
                    let (#(#muts #names,)*) = (#(#names,)*);
                    // A statement of its own, at whose end the temporaries that borrow the parameters are dropped.
                    let #call_name = #call;
                    (#call_name, #(#names),*)
                };
                // Prevents a warning for a parameter that only the key uses. This neither moves nor borrows it.
                #(match #names { _ => {} })*
            }
        };
        // An async block can't be given a return type. The branch that is never taken tells the compiler the type before it checks
        // the body: so a type error is reported at the user's expression, and not at the attribute.
        quote! {
            #setup
            #bind_call
            let #body_name = async move {
                #bind_claim
                if false {
                    return #p::never::<#output>();
                }
                #body
            };
            let #body_name = ::core::pin::pin!(#body_name);
            #p::run(&mut #call_name, #body_name, #ops, #on_error, #on_crash, #on_decode).await
        }
    }

    // Input:
    //     fn f(order_id: String, cents: u64) -> Ret { BODY }
    //
    // Output:
    //     fn f(order_id: String, cents: u64) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, ..>();
    //         let mut call = Call::new(site, installed(), key(&(order_id)), FingerprintInput::None, None);
    //         let body = move || -> Ret { BODY };
    //         run_blocking(&mut call, body, ops, ReleaseErrors, RefuseUnreadable)
    //     }
    pub(super) fn blocking(&self, body: &Body) -> TokenStream {
        if let Some(tx) = Tx::find(self.args, self.function) {
            return self.in_transaction_blocking(&tx, body);
        }
        let p = self.private();
        let output = self.output;
        let (call_name, body_name, ops) = (local("call"), local("body"), local("ops"));
        let setup = self.setup();
        let call = self.call();
        let bind_claim = self.bind_claim();
        let (on_error, on_decode) = (self.on_error(), self.on_decode());
        let body = match bind_claim {
            Some(bind_claim) => quote!({ #bind_claim #body }),
            None => quote!(#body),
        };
        quote! {
            #setup
            let mut #call_name = #call;
            let #body_name = move || -> #output #body;
            #p::run_blocking(&mut #call_name, #body_name, #ops, #on_error, #on_decode)
        }
    }
}
