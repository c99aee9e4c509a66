//! The rewritten function in tx mode.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Ident;

use super::rewrite::{Rewrite, local, located};
use crate::item::Body;
use crate::tx::Tx;

impl Rewrite<'_> {
    // Input:
    //     async fn f(tx: &mut Transaction<'_>, order: Order) -> Ret { BODY }
    //
    // Output:
    //     async fn f(tx: &mut Transaction<'_>, order: Order) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, ..>();
    //         let call = TxCall::new(site, key(&(order.id)), FingerprintInput::None);
    //         match enter(call, &mut *tx, ops, RefuseUnreadable).await {
    //             Err(output) => output,
    //             Ok(entered) => {
    //                 let output = {
    //                     let tx = &mut *tx;
    //                     let body = async move { if false { return never::<Ret>(); } { BODY } };
    //                     body.await
    //                 };
    //                 leave(entered, &mut *tx, ops, output).await
    //             }
    //         }
    //     }
    pub(super) fn in_transaction(&self, tx: &Tx<'_>, body: &Body) -> TokenStream {
        let p = self.private();
        let (body_name, output) = (local("body"), self.output);
        let run = quote! {
            let #body_name = async move {
                if false {
                    return #p::never::<#output>();
                }
                #body
            };
            #body_name.await
        };
        self.around(tx, ("enter", "leave"), &quote!(.await), &run)
    }

    // The same for a sync function, with a closure in place of the future.
    pub(super) fn in_transaction_blocking(&self, tx: &Tx<'_>, body: &Body) -> TokenStream {
        let (p, output) = (self.private(), self.output);
        // A function calls the closure. If it were called here, a closure that changes what it has captured would have to be in
        // a `mut` variable, and one that doesn't would get a warning for the `mut`.
        let run = quote!(#p::once(move || -> #output #body));
        self.around(tx, ("enter_blocking", "leave_blocking"), &TokenStream::new(), &run)
    }

    fn around(&self, tx: &Tx<'_>, (enter, leave): (&str, &str), wait: &TokenStream, run: &TokenStream) -> TokenStream {
        let p = self.private();
        let [site, ops, call, entered, output] = ["site", "ops", "call", "entered", "output"].map(local);
        let (setup, key, fingerprint) = (self.setup(), self.key(), self.fingerprint());
        let (handle, rebind, on_decode) = (tx.handle(), tx.rebind(), self.on_decode());
        // The call, its argument and its future have one place: the compiler doesn't repeat an error at the same place.
        let [enter, leave] = [enter, leave].map(|name| Ident::new(name, Span::call_site()));
        let enter = located(quote!(#p::#enter(#call, #handle, #ops, #on_decode) #wait), tx.place());
        let leave = located(quote!(#p::#leave(#entered, #handle, #ops, #output) #wait), tx.place());
        quote! {
            #setup
            let #call = #p::TxCall::new(#site, #key, #fingerprint);
            match #enter {
                ::core::result::Result::Err(#output) => #output,
                ::core::result::Result::Ok(#entered) => {
                    let #output = {
                        #rebind
                        #run
                    };
                    #leave
                }
            }
        }
    }
}
