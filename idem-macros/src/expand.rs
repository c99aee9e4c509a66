//! The rewritten function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit_mut::VisitMut;
use syn::{FnArg, Ident, Type};

use crate::args::{Args, OnCrash, OnError};
use crate::hidden::Hidden;
use crate::item::{Body, Function, braces};
use crate::key::{bindings, mentions};

/// The function with its body protected.
pub(crate) fn expand(args: &Args, mut function: Function, hidden: Option<Hidden>) -> TokenStream {
    let body = match (&hidden, &function.sig.output) {
        (Some(hidden), _) => boxed(args, &function, hidden),
        (None, syn::ReturnType::Type(_, output)) => {
            let output = (**output).clone();
            let rewrite = Rewrite { args, function: &function, output: &output, hidden: None };
            if function.sig.asyncness.is_some() {
                let shuffled = take_borrowed(args, &mut function);
                let rewrite = Rewrite { args, function: &function, output: &output, hidden: None };
                rewrite.asynchronous(&function.body, &shuffled)
            } else {
                rewrite.blocking(&function.body)
            }
        }
        (None, syn::ReturnType::Default) => function.body.stmts.clone(),
    };
    emit(&function, body)
}

/// The function as it was, after a mistake. The body may use the claim: without it a second error would follow.
pub(crate) fn untouched(args: &Args, function: &Function) -> TokenStream {
    let stmts = &function.body.stmts;
    let body = match &args.claim {
        Some(claim) => {
            let krate = krate(args);
            quote! {
                #[allow(unused_variables)]
                let #claim: &#krate::Claim = #krate::private::never();
                #stmts
            }
        }
        None => stmts.clone(),
    };
    emit(function, body)
}

fn emit(function: &Function, body: TokenStream) -> TokenStream {
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

/// A parameter that the key, the fingerprint or the store borrows.
struct Borrowed {
    ident: Ident,
    mutable: bool,
}

/// Finds the parameters that the arguments mention, and takes `mut` from them: it belongs to the variable that the body
/// gets.
///
/// A variable that was borrowed is kept in a future until its scope ends, even if it was moved from. So these parameters
/// are moved to a scope of their own, borrowed there, and moved on: a large one isn't kept twice.
fn take_borrowed(args: &Args, function: &mut Function) -> Vec<Borrowed> {
    let mut read = TokenStream::new();
    for parts in [&args.key, &args.fingerprint].into_iter().flatten() {
        read.extend(parts.reference());
    }
    args.store.to_tokens(&mut read);
    let mut borrowed = Vec::new();
    for input in &mut function.sig.inputs {
        let FnArg::Typed(parameter) = input else { continue };
        // Whether a parameter behind a `#[cfg]` exists is known to the compiler alone.
        if parameter.attrs.iter().any(|attr| attr.path().is_ident("cfg")) {
            continue;
        }
        let mentioned: Vec<Borrowed> = bindings(&parameter.pat)
            .into_iter()
            .filter(|binding| mentions(read.clone(), &binding.ident))
            .map(|binding| Borrowed {
                ident: binding.ident.clone(),
                mutable: binding.by_ref.is_none() && binding.mutability.is_some(),
            })
            .collect();
        for binding in mentioned.iter().filter(|binding| binding.mutable) {
            TakeMut(&binding.ident).visit_pat_mut(&mut parameter.pat);
        }
        borrowed.extend(mentioned);
    }
    borrowed
}

/// Takes `mut` from a binding.
struct TakeMut<'i>(&'i Ident);

impl VisitMut for TakeMut<'_> {
    fn visit_pat_ident_mut(&mut self, pattern: &mut syn::PatIdent) {
        if pattern.ident == *self.0 {
            pattern.mutability = None;
        }
        syn::visit_mut::visit_pat_ident_mut(self, pattern);
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
    //         let ops = output::<Ret, _>();
    //         let (mut call, order_id) = {
    //             let (order_id,) = (order_id,);
    //             (Call::new(site, installed(), key(&(order_id)), FingerprintInput::None, None), order_id)
    //         };
    //         let body = async move {
    //             if false { return never::<Ret>(); }
    //             { BODY }
    //         };
    //         let body = pin!(body);
    //         run(&mut call, body, ops, ReleaseErrors, NoReconcile).await
    //     }
    fn asynchronous(&self, body: &Body, borrowed: &[Borrowed]) -> TokenStream {
        let p = self.private();
        let output = self.output;
        let (call_name, body_name, ops) = (local("call"), local("body"), local("ops"));
        let setup = self.setup();
        let call = self.call();
        let bind_claim = self.bind_claim();
        let (on_error, on_crash) = (self.on_error(), self.on_crash());
        let names: Vec<&Ident> = borrowed.iter().map(|borrowed| &borrowed.ident).collect();
        let muts: Vec<Option<TokenStream>> =
            borrowed.iter().map(|borrowed| borrowed.mutable.then(|| quote!(mut))).collect();
        let bind_call = if names.is_empty() {
            quote!(let mut #call_name = #call;)
        } else {
            quote! {
                #[allow(clippy::used_underscore_binding)]
                let (mut #call_name, #(#muts #names),*) = {
                    #[allow(unused_mut, clippy::shadow_same, clippy::used_underscore_binding)]
                    let (#(#muts #names,)*) = (#(#names,)*);
                    (#call, #(#names),*)
                };
                // A parameter that only the key uses is used. This neither moves nor borrows it.
                #(#[allow(let_underscore_lock, clippy::let_underscore_future, clippy::used_underscore_binding)]
                let _ = #names;)*
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
            #p::run(&mut #call_name, #body_name, #ops, #on_error, #on_crash).await
        }
    }

    // Input:
    //     fn f(order_id: String, cents: u64) -> Ret { BODY }
    //
    // Output:
    //     fn f(order_id: String, cents: u64) -> Ret {
    //         let site: &'static Site = { static SITE: Site = Site::new(..); &SITE };
    //         let ops = output::<Ret, _>();
    //         let mut call = Call::new(site, installed(), key(&(order_id)), FingerprintInput::None, None);
    //         let body = move || -> Ret { BODY };
    //         run_blocking(&mut call, body, ops, ReleaseErrors)
    //     }
    fn blocking(&self, body: &Body) -> TokenStream {
        let p = self.private();
        let output = self.output;
        let (call_name, body_name, ops) = (local("call"), local("body"), local("ops"));
        let setup = self.setup();
        let call = self.call();
        let bind_claim = self.bind_claim();
        let on_error = self.on_error();
        let body = match bind_claim {
            Some(bind_claim) => quote!({ #bind_claim #body }),
            None => quote!(#body),
        };
        quote! {
            #setup
            let mut #call_name = #call;
            let #body_name = move || -> #output #body;
            #p::run_blocking(&mut #call_name, #body_name, #ops, #on_error)
        }
    }

    fn private(&self) -> TokenStream {
        let krate = krate(self.args);
        quote!(#krate::private)
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
        let output = quote_spanned!(output.span()=> #p::output::<#output, _>());
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
            Some(scope) => scope.to_token_stream(),
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
        let store = self.store();
        let key = self.args.key.as_ref().map(|key| {
            let reference = self.user(&key.reference());
            // At the user's expression: there it is said that a type can't be a key.
            let call = quote_spanned!(key.span()=> #p::key(#reference));
            alone("key", &call)
        });
        let fingerprint = match &self.args.fingerprint {
            None => quote!(#p::FingerprintInput::None),
            Some(fingerprint) => {
                let reference = self.user(&fingerprint.reference());
                let call = quote_spanned!(fingerprint.span()=> #p::fingerprint(#reference));
                alone("fingerprint", &call)
            }
        };
        let slot = match &self.args.claim {
            None => quote!(::core::option::Option::None),
            Some(_) => {
                let claim = local("claim");
                quote!(::core::option::Option::Some(#claim))
            }
        };
        quote!(#p::Call::new(#site, #store, #key, #fingerprint, #slot))
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
        let ops = local("ops");
        match &self.args.on_error {
            OnError::Release => quote!(#p::ReleaseErrors),
            OnError::Keep => quote!(#p::KeepErrors),
            OnError::Record => {
                let span = self.output.span();
                quote_spanned!(span=> #p::record_errors(#ops))
            }
            OnError::RecordIf(function) => {
                quote_spanned!(function.span()=> #p::record_errors_if(#ops, #function))
            }
            OnError::Decide(function) => quote_spanned!(function.span()=> #p::decide_errors(#ops, #function)),
        }
    }

    fn on_crash(&self) -> TokenStream {
        let p = self.private();
        let ops = local("ops");
        let (span, function) = match &self.args.on_crash {
            OnCrash::Rerun | OnCrash::Park => return quote!(#p::NoReconcile),
            OnCrash::Path(function) => (function.span(), self.user(function)),
            OnCrash::Closure(function) => (function.span(), self.user(function)),
        };
        quote_spanned!(span=> #p::reconcile(#ops, #function))
    }
}
