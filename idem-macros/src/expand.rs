//! The rewritten function.

mod in_transaction;

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

use crate::args::{Args, Scope};
use crate::borrowed::{Borrowed, take_borrowed, take_mut};
use crate::hidden::Hidden;
use crate::item::{Body, Function, braces};
use crate::key::bindings;
use crate::policy::{OnCrash, OnError};
use crate::tx::Tx;

/// The function with its body protected.
pub(crate) fn expand(args: &Args, mut function: Function, hidden: Option<&Hidden>) -> TokenStream {
    let body = match (hidden, &function.sig.output) {
        (Some(hidden), _) => boxed(args, &function, hidden),
        (None, syn::ReturnType::Type(_, output)) => {
            let output = (**output).clone();
            // In tx mode, the body's future is made when the key is claimed, and borrows nothing before.
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

/// The function as it was, after a mistake. The body may use the claim: without it a second error would follow.
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

fn krate(args: &Args) -> TokenStream {
    args.krate.as_ref().map_or_else(|| quote!(::idem_runtime), ToTokens::to_token_stream)
}

/// A value in a statement of its own, where its temporaries end: a lock that the key takes is free again when the
/// fingerprint takes it.
fn alone(name: &str, value: &TokenStream) -> TokenStream {
    let name = local(name);
    quote!({ let #name = #value; #name })
}

/// A name that no user can write, and that hides none of theirs.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
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

struct Rewrite<'r> {
    args: &'r Args,
    function: &'r Function,
    output: &'r Type,
    hidden: Option<&'r Hidden>,
}

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
    fn asynchronous(&self, body: &Body, borrowed: &[Borrowed]) -> TokenStream {
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
            // The user's own `mut` is on the variable that the body gets: there it is told if it isn't needed.
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
                    // A statement of its own, at whose end the last temporary lets go of the parameters.
                    let #call_name = #call;
                    (#call_name, #(#names),*)
                };
                // A parameter that only the key uses is used. This neither moves nor borrows it.
                #(match #names { _ => {} })*
            }
        };
        // The branch that is never taken tells the compiler what the body returns before it reads the body, as an async
        // block can't be given a return type: so a wrong expression is reported where it stands, and not here.
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
    fn blocking(&self, body: &Body) -> TokenStream {
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

    fn private(&self) -> TokenStream {
        let krate = krate(self.args);
        quote!(#krate::private)
    }

    /// A call of a function of `private`'s, all of it at the place of what the user wrote: so that a mistake is shown there,
    /// and once, as the compiler leaves out what it has said of a place before.
    fn call_at(&self, span: Span, function: &str, arguments: &TokenStream) -> TokenStream {
        let p = self.private();
        let function = Ident::new(function, Span::call_site());
        located(quote!(#p::#function), span).into_iter().chain(quote_spanned!(span=> (#arguments))).collect()
    }

    /// An expression of the attribute's.
    fn user(&self, expr: &impl ToTokens) -> TokenStream {
        let tokens = expr.to_token_stream();
        match self.hidden {
            Some(hidden) => hidden.rename_self(tokens),
            None => tokens,
        }
    }

    /// What the call needs before it.
    fn setup(&self) -> TokenStream {
        let p = self.private();
        let (site, ops, slot, claim) = (local("site"), local("ops"), local("slot"), local("claim"));
        let output = self.output;
        let new_site = self.site();
        let output = {
            let function = located(quote!(#p::output), output.span());
            quote_spanned!(output.span()=> #function::<#output, _, _, _>())
        };
        let new_slot = self.args.claim.as_ref().map(|_| {
            quote! {
                let #slot = #p::ClaimSlot::new(#site);
                let #claim = &#slot;
            }
        });
        quote! {
            let #site: &'static #p::Site = #new_site;
            let #ops = #output;
            #new_slot
        }
    }

    /// The call site, in a block of its own, where its `static` is in nobody's sight.
    fn site(&self) -> TokenStream {
        let p = self.private();
        let args = self.args;
        let scope = match &args.scope {
            Some(Scope::Text(text)) => text.to_token_stream(),
            Some(Scope::Const(path)) => self.call_at(path.span(), "scope", &self.user(path)),
            None => {
                let name = self.function.sig.ident.unraw().to_string();
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        };
        let ttl = args.ttl.as_ref().map(|length| length.nanos).map(|nanos| quote!(.ttl(#nanos)));
        let lease = args.lease.as_ref().map(|length| length.nanos).map(|nanos| quote!(.lease(#nanos)));
        let wait = args.wait.as_ref().map(|length| length.nanos).map(|nanos| quote!(.wait(#nanos)));
        let orphans = match args.on_crash {
            OnCrash::Rerun => None,
            OnCrash::Park => Some(quote!(.park())),
            OnCrash::Path(_) | OnCrash::Closure(_) => Some(quote!(.reconcile())),
        };
        let without_key = args.run_without_key.then(|| quote!(.run_without_key()));
        let without_store = args.run_without_store.then(|| quote!(.run_without_store()));
        let name = local("SITE");
        quote! {{
            static #name: #p::Site = #p::Site::new(#scope, ::core::file!(), ::core::line!())
                #ttl #lease #wait #orphans #without_key #without_store;
            &#name
        }}
    }

    fn call(&self) -> TokenStream {
        let p = self.private();
        let site = local("site");
        let (store, key, fingerprint) = (self.store(), self.key(), self.fingerprint());
        let slot = match &self.args.claim {
            None => quote!(::core::option::Option::None),
            Some(_) => {
                let claim = local("claim");
                quote!(::core::option::Option::Some(#claim))
            }
        };
        quote!(#p::Call::new(#site, #store, #key, #fingerprint, #slot))
    }

    fn key(&self) -> Option<TokenStream> {
        self.args.key.as_ref().map(|key| {
            let call = self.call_at(key.span(), "key", &self.user(&key.reference()));
            alone("key", &call)
        })
    }

    fn fingerprint(&self) -> TokenStream {
        match &self.args.fingerprint {
            None => {
                let p = self.private();
                quote!(#p::FingerprintInput::None)
            }
            Some(fingerprint) => {
                let call = self.call_at(fingerprint.span(), "fingerprint", &self.user(&fingerprint.reference()));
                alone("fingerprint", &call)
            }
        }
    }

    fn store(&self) -> TokenStream {
        let p = self.private();
        let Some(store) = &self.args.store else { return quote!(#p::installed()) };
        let user = self.user(store);
        let name = local("store");
        // `match`, so that what the expression borrows lives long enough, and outside of the trait's sight. The method is
        // looked up by the compiler, which derefs as it would for the user.
        let lookup = quote_spanned!(store.span()=> (*#name).idempotency_store());
        let found = quote! {
            match &(#user) {
                #name => {
                    use #p::ToHandle as _;
                    #lookup
                }
            }
        };
        alone("store", &found)
    }

    /// `let claim: &Claim = ..;`, in the body.
    fn bind_claim(&self) -> Option<TokenStream> {
        let user = self.args.claim.as_ref()?;
        let krate = krate(self.args);
        let claim = local("claim");
        Some(quote!(let #user: &#krate::Claim = #claim.get();))
    }

    fn on_error(&self) -> TokenStream {
        let p = self.private();
        match &self.args.on_error {
            OnError::Release => quote!(#p::ReleaseErrors),
            OnError::Keep => quote!(#p::KeepErrors),
            OnError::Record(span) => self.policy(*span, "record_errors", None),
            OnError::RecordIf(accept) => self.policy(accept.span(), "record_errors_if", Some(accept)),
            OnError::Decide(decide) => self.policy(decide.span(), "decide_errors", Some(decide)),
        }
    }

    fn on_crash(&self) -> TokenStream {
        let p = self.private();
        match &self.args.on_crash {
            OnCrash::Rerun | OnCrash::Park => quote!(#p::NoReconcile),
            OnCrash::Path(find_out) => self.policy(find_out.span(), "reconcile", Some(find_out)),
            OnCrash::Closure(find_out) => self.policy(find_out.span(), "reconcile_closure", Some(find_out)),
        }
    }

    fn on_decode(&self) -> TokenStream {
        match &self.args.on_decode {
            Some(answer) => self.policy(answer.span(), "answer_unreadable", Some(answer)),
            None => {
                let p = self.private();
                quote!(#p::RefuseUnreadable)
            }
        }
    }

    fn policy(&self, span: Span, name: &str, function: Option<&dyn ToTokens>) -> TokenStream {
        let mut ops = local("ops");
        ops.set_span(ops.span().located_at(span));
        let function = function.map(|function| self.user(&function));
        self.call_at(span, name, &quote_spanned!(span=> #ops, #function))
    }
}

/// These tokens at another place; what they name stays what it was.
fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let place = |mut token: TokenTree| {
        token.set_span(token.span().located_at(span));
        token
    };
    tokens.into_iter().map(place).collect()
}
