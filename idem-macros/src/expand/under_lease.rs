//! A rewritten function, or a block, in lease mode.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::rewrite::{Rewrite, local};
use crate::block::Block;
use crate::borrowed::Borrowed;
use crate::item::Body;

impl Rewrite<'_> {
    // Input:
    //     async fn f(order_id: String, cents: u64) -> Ret { BODY }
    //
    // Output:
    //     async fn f(order_id: String, cents: u64) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, ..>();
    //         let policies = (ReleaseErrors, RefuseUnreadable);
    //         let (mut call, order_id) = {
    //             let (order_id,) = (order_id,);
    //             let call = {
    //                 let (key, fingerprint) = (key(&(order_id)), FingerprintInput::None);
    //                 let asked = installed(Some(Asking::new(site, &key, &fingerprint, false)));
    //                 match open(site, asked, key, fingerprint, ops, (&policies.0, &policies.1)) {
    //                     Ok(call) => call,
    //                     Err(output) => return output,
    //                 }
    //             };
    //             (call, order_id)
    //         };
    //         let body = async move {
    //             if false { return never::<Ret>(); }
    //             { BODY }
    //         };
    //         let body = pin!(body);
    //         run(&mut call, body, ops, policies.0, NoReconcile, policies.1).await
    //     }
    pub(super) fn asynchronous(&self, body: &Body, borrowed: &[Borrowed]) -> TokenStream {
        let p = self.private();
        let (call_name, body_name, ops) = (local("call"), local("body"), local("ops"));
        let setup = self.setup();
        let (bind_policies, call) = (self.bind_policies(), self.open(false));
        let (lend_slot, bind_claim, fake_return) = (self.lend_slot(), self.bind_claim(), self.fake_return());
        let (policies, on_crash) = (local("policies"), self.on_crash());
        let names: Vec<&Ident> = borrowed.iter().map(|borrowed| &borrowed.ident).collect();
        let muts: Vec<Option<TokenStream>> =
            borrowed.iter().map(|borrowed| borrowed.mutable.then(|| quote!(mut))).collect();
        let bind_call = if names.is_empty() {
            quote!(let mut #call_name = #call;)
        } else {
            // The user's own `mut` is on the variable that the body gets: there the compiler warns if it isn't needed.
            let allow_mut = borrowed.iter().any(|borrowed| borrowed.mutable).then(|| quote!(#[allow(unused_mut)]));
            // Only where it can be needed: a crate that forbids `clippy::pedantic` gets a warning for it.
            let is_underscored = names.iter().any(|name| name.to_string().starts_with('_'));
            let allow_underscore = is_underscored.then(|| quote!(#[allow(clippy::used_underscore_binding)]));
            quote! {
                #[allow(clippy::shadow_reuse, clippy::shadow_same, clippy::shadow_unrelated)]
                #allow_underscore
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
        quote! {
            #setup
            #bind_policies
            #bind_call
            #lend_slot
            let #body_name = async move {
                #bind_claim
                #fake_return
                #body
            };
            let #body_name = ::core::pin::pin!(#body_name);
            #p::run(&mut #call_name, #body_name, #ops, #policies.0, #on_crash, #policies.1).await
        }
    }

    // Input:
    //     fn f(order_id: String, cents: u64) -> Ret { BODY }
    //
    // Output:
    //     fn f(order_id: String, cents: u64) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, ..>();
    //         let policies = (ReleaseErrors, RefuseUnreadable);
    //         let mut call = { .. }; // as above
    //         let body = move || -> Ret { BODY };
    //         run_blocking(&mut call, body, ops, policies.0, policies.1)
    //     }
    pub(super) fn blocking(&self, closure: &TokenStream) -> TokenStream {
        self.blocking_with(&self.open(true), None, closure)
    }

    /// The same for a block, in which a `return` would be the enclosing function's.
    pub(super) fn blocking_block(&self, closure: &TokenStream) -> TokenStream {
        let call_name = local("call");
        self.blocking_with(&self.call(), Some(&quote!(#call_name.begin();)), closure)
    }

    fn blocking_with(&self, call: &TokenStream, begin: Option<&TokenStream>, closure: &TokenStream) -> TokenStream {
        let p = self.private();
        let [call_name, body_name, ops, policies] = ["call", "body", "ops", "policies"].map(local);
        let (setup, bind_policies, lend_slot) = (self.setup(), self.bind_policies(), self.lend_slot());
        quote! {
            #setup
            #bind_policies
            let mut #call_name = #call;
            #begin
            #lend_slot
            let #body_name = #closure;
            #p::run_blocking(&mut #call_name, #body_name, #ops, #policies.0, #policies.1)
        }
    }

    /// The body of a sync function.
    pub(super) fn closure(&self, body: &Body) -> TokenStream {
        let (output, bind_claim) = (self.output, self.bind_claim());
        match bind_claim {
            Some(bind_claim) => quote!(move || -> #output { #bind_claim #body }),
            None => quote!(move || -> #output #body),
        }
    }

    // Input:
    //     run_once!(key = order.id, scope = "shop/charge", async || -> Ret { BODY })
    //
    // Output:
    //     {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, ..>();
    //         let mut call = Call::new(site, installed(None), key(&(order.id)), FingerprintInput::None);
    //         let policies = (ReleaseErrors, NoReconcile, RefuseUnreadable);
    //         let mut body = async || -> Ret { BODY };
    //         async move {
    //             call.begin();
    //             let body = pin!(body());
    //             run(&mut call, body, ops, policies.0, policies.1, policies.2).await
    //         }
    //     }
    //
    // The body is an async closure for `async { .. }` too. Its future borrows what the closure has captured, unless the body consumes
    // it. So the outer future holds that once: a future in the closure's place would be moved to be pinned, and take up its size
    // twice.
    pub(super) fn asynchronous_block(&self, block: &Block) -> TokenStream {
        let p = self.private();
        let [call_name, body, policies, ops, claim] = ["call", "body", "policies", "ops", "claim"].map(local);
        let (bind_site, bind_ops, call) = (self.bind_site(), self.bind_ops(), self.call());
        let (bind_slot, lend_slot) = (self.bind_slot(), self.lend_slot());
        let (on_error, on_crash, on_decode) = (self.on_error(), self.on_crash(), self.on_decode());
        let slot = self.args.claim.as_ref().map(|_| quote!(#claim));
        let parameter = slot.as_ref().map(|slot| quote!(#slot: &#p::ClaimSlot));
        let (bind_claim, fake_return) = (self.bind_claim(), self.fake_return());
        let closure = block.closure(parameter.as_ref(), &quote!(#bind_claim #fake_return));
        // A call that lives as long as the slot, which the outer future holds.
        let rebind_call = slot.as_ref().map(|_| quote!(let mut #call_name = #call_name;));
        quote! {
            #bind_site
            #bind_ops
            let mut #call_name = #call;
            let #policies = (#on_error, #on_crash, #on_decode);
            let mut #body = #closure;
            async move {
                #bind_slot
                #rebind_call
                #call_name.begin();
                #lend_slot
                let #body = ::core::pin::pin!(#body(#slot));
                #p::run(&mut #call_name, #body, #ops, #policies.0, #policies.1, #policies.2).await
            }
        }
    }

    /// A branch that is never taken. It tells the compiler the type before it checks the body, so that a type error is reported at the
    /// user's expression, and not at the attribute. An async block can't be given a return type, and that of an async closure is
    /// checked after its body.
    pub(super) fn fake_return(&self) -> Option<TokenStream> {
        let (p, output) = (self.private(), self.output?);
        Some(quote!(if false { return #p::never::<#output>(); }))
    }
}
