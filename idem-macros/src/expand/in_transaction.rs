//! A rewritten function, or a block, in tx mode.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, Token};

use super::rewrite::{Rewrite, local, located};
use crate::block::Block;
use crate::item::Body;
use crate::tx::Tx;

/// The functions of the module `private` that are called around the body.
struct Names {
    enter: &'static str,
    leave: &'static str,
    awaits: bool,
}

const AWAITED: Names = Names { enter: "enter", leave: "leave", awaits: true };
const CALLED: Names = Names { enter: "enter_blocking", leave: "leave_blocking", awaits: false };

impl Rewrite<'_> {
    // Input:
    //     async fn f(tx: &mut Transaction<'_>, order: Order) -> Ret { BODY }
    //
    // Output:
    //     async fn f(tx: &mut Transaction<'_>, order: Order) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let call = TxCall::new(site, key(&(order.id)), FingerprintInput::None);
    //         let ops = output::<Ret, ..>();
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
        let run = self.awaited(Some(<Token![move]>::default()), body);
        let (before, ops, call) = (self.before(), self.bind_ops(), self.around(tx, &AWAITED, &run));
        quote!(#before #ops #call)
    }

    // The same for a sync function, with a closure in place of the future.
    pub(super) fn in_transaction_blocking(&self, tx: &Tx<'_>, closure: &TokenStream) -> TokenStream {
        let p = self.private();
        // A function calls the closure. If it were called here, a closure that changes what it has captured would have to be in
        // a `mut` variable, and one that doesn't would get a warning for the `mut`.
        let run = quote!(#p::once(#closure));
        let (before, ops, call) = (self.before(), self.bind_ops(), self.around(tx, &CALLED, &run));
        quote!(#before #ops #call)
    }

    // Input:
    //     run_once!(tx = &mut tx, key = order.id, scope = "shop/charge", async { BODY })
    //
    // Output:
    //     {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let call = TxCall::new(site, key(&(order.id)), FingerprintInput::None);
    //         async {
    //             let ops = output::<_, ..>();
    //             // as in an `async fn`, with `&mut tx` in place of `&mut *tx`, and no other variable for the body
    //         }
    //     }
    //
    // Where the block is `move`, it doesn't name the transaction. The future then captures a reference that was made before it.
    pub(super) fn in_transaction_block(&self, tx: &Tx<'_>, block: &Block) -> TokenStream {
        let Block { capture, body, .. } = block;
        let (before, ops) = (self.before(), self.bind_ops());
        let lent = capture.and_then(|_| tx.lend());
        let (lend, tx) = lent.as_ref().map_or((None, tx), |(lend, tx)| (Some(lend), tx));
        let call = self.around(tx, &AWAITED, &self.awaited(*capture, body));
        quote! {
            #before
            #lend
            async #capture {
                #ops
                #call
            }
        }
    }

    /// The statements before the claim.
    fn before(&self) -> TokenStream {
        let (p, site, call) = (self.private(), local("site"), local("call"));
        let (bind_site, key, fingerprint) = (self.bind_site(), self.key(), self.fingerprint());
        quote! {
            #bind_site
            let #call = #p::TxCall::new(#site, #key, #fingerprint);
        }
    }

    /// The body as a future, which is awaited in place.
    fn awaited(&self, capture: Option<Token![move]>, body: &Body) -> TokenStream {
        let (body_name, fake_return) = (local("body"), self.fake_return());
        quote! {
            let #body_name = async #capture {
                #fake_return
                #body
            };
            #body_name.await
        }
    }

    fn around(&self, tx: &Tx<'_>, names: &Names, run: &TokenStream) -> TokenStream {
        let p = self.private();
        let [ops, call, entered, output] = ["ops", "call", "entered", "output"].map(local);
        let (handle, rebind, on_decode) = (tx.handle(), tx.rebind(), self.on_decode());
        let wait = names.awaits.then(|| quote!(.await));
        // The call, its argument and its future have one place: the compiler doesn't repeat an error at the same place.
        let [enter, leave] = [names.enter, names.leave].map(|name| Ident::new(name, Span::call_site()));
        let enter = located(quote!(#p::#enter(#call, #handle, #ops, #on_decode) #wait), tx.place());
        let leave = located(quote!(#p::#leave(#entered, #handle, #ops, #output) #wait), tx.place());
        quote! {
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
