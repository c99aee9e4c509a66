//! What all forms write: names, the call site, the key, the store and the policies.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

use super::parts::{FINGERPRINT, KEY, Whole, named};
use crate::args::{Args, Scope};
use crate::hidden::Hidden;
use crate::key::Parts;
use crate::policy::{OnCrash, OnError};
use crate::tx::Tx;

/// What is rewritten: its arguments, and the type that its body returns.
pub(super) struct Rewrite<'r> {
    pub(super) args: &'r Args,
    /// The name of the function. A block has none.
    pub(super) name: Option<&'r Ident>,
    /// The type that the body returns. `None` if a block doesn't say it.
    pub(super) output: Option<&'r Type>,
    /// Where an error about the returned type is shown.
    pub(super) output_place: Span,
    pub(super) hidden: Option<&'r Hidden>,
    /// The transaction in tx mode.
    pub(super) tx: Option<Tx<'r>>,
}

impl Rewrite<'_> {
    pub(super) fn private(&self) -> TokenStream {
        let krate = self.args.library();
        quote!(#krate::private)
    }

    /// Calls a function of the module `private`. All tokens get the place of what the user wrote: so an error is shown there, and
    /// only once, as the compiler doesn't repeat an error at the same place.
    fn call_at(&self, span: Span, function: &str, arguments: &TokenStream) -> TokenStream {
        let p = self.private();
        let function = Ident::new(function, Span::call_site());
        located(quote!(#p::#function), span).into_iter().chain(quote_spanned!(span=> (#arguments))).collect()
    }

    /// An expression from the attribute. In a method under `#[async_trait]`, its `self` is renamed.
    fn user(&self, expr: &impl ToTokens) -> TokenStream {
        let tokens = expr.to_token_stream();
        match self.hidden {
            Some(hidden) => hidden.rename_self(tokens),
            None => tokens,
        }
    }

    /// The statements of a function before the call: the call site, the operations of the return type and, with `claim`, the slot
    /// of the claim.
    pub(super) fn setup(&self) -> TokenStream {
        let (site, ops, slot) = (self.bind_site(), self.bind_ops(), self.bind_slot());
        quote!(#site #ops #slot)
    }

    pub(super) fn bind_site(&self) -> TokenStream {
        let (p, name, site) = (self.private(), local("site"), self.site());
        quote!(let #name: &'static #p::Site = #site;)
    }

    pub(super) fn bind_ops(&self) -> TokenStream {
        let (p, ops, place) = (self.private(), local("ops"), self.output_place);
        let function = located(quote!(#p::output), place);
        let output = match self.output {
            Some(output) => output.to_token_stream(),
            None => quote_spanned!(place=> _),
        };
        let output = quote_spanned!(place=> #function::<#output, _, _, _>());
        quote!(let #ops = #output;)
    }

    pub(super) fn bind_slot(&self) -> Option<TokenStream> {
        self.args.claim.as_ref().map(|_| {
            let (p, site, slot, claim) = (self.private(), local("site"), local("slot"), local("claim"));
            quote! {
                let #slot = #p::ClaimSlot::new(#site);
                let #claim = &#slot;
            }
        })
    }

    /// The call site: a `static` in a block of its own, so that the user's code can't see its name.
    fn site(&self) -> TokenStream {
        let p = self.private();
        let args = self.args;
        let scope = match &args.scope {
            Some(Scope::Text(text)) => text.to_token_stream(),
            Some(Scope::Const(path)) => self.call_at(path.span(), "scope", &self.user(path)),
            None => {
                let name = self.name.map(|name| name.unraw().to_string());
                quote!(::core::concat!(::core::module_path!(), "::", #name))
            }
        };
        let key = args.key.as_ref().map(Parts::told_to_site);
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
                #key #ttl #lease #wait #orphans #without_key #without_store;
            &#name
        }}
    }

    /// The call of a block. Its store is asked where the block runs.
    pub(super) fn call(&self) -> TokenStream {
        let p = self.private();
        let site = local("site");
        let (store, key, fingerprint) =
            (self.store(&quote!(::core::option::Option::None)), self.key(), self.fingerprint());
        quote!(#p::Call::new(#site, #store, #key, #fingerprint))
    }

    /// The call of a function. If its key is completed, the function returns here.
    pub(super) fn open(&self, blocking: bool) -> TokenStream {
        let p = self.private();
        let [site, ops, policies, key, fingerprint, asked] =
            ["site", "ops", "policies", "key", "fingerprint", "asked"].map(local);
        let call = local("call");
        let (key_value, fingerprint_value) = (self.key(), self.fingerprint());
        let asking = quote!(::core::option::Option::Some(#p::Asking::new(#site, &#key, &#fingerprint, #blocking)));
        let store = self.store(&asking);
        // The compiler shows what is wrong with the lifetimes of the output where it is returned. With a name of this macro's, it would
        // show the macro too. No code of the user is in this arm.
        let output = Ident::new("idempotent_output", self.output_place);
        let answer = quote_spanned!(self.output_place=> return #output);
        quote! {{
            let #key = #key_value;
            let #fingerprint = #fingerprint_value;
            let #asked = #store;
            match #p::open(#site, #asked, #key, #fingerprint, #ops, (&#policies.0, &#policies.1)) {
                ::core::result::Result::Ok(#call) => #call,
                ::core::result::Result::Err(#output) => #answer,
            }
        }}
    }

    /// What `on_error` and `on_decode` say: a replay needs them.
    pub(super) fn bind_policies(&self) -> TokenStream {
        let (policies, on_error, on_decode) = (local("policies"), self.on_error(), self.on_decode());
        quote!(let #policies = (#on_error, #on_decode);)
    }

    /// `call.claim_into(claim);`, if `claim` was given.
    pub(super) fn lend_slot(&self) -> Option<TokenStream> {
        self.args.claim.as_ref().map(|_| {
            let (call, claim) = (local("call"), local("claim"));
            quote!(#call.claim_into(#claim);)
        })
    }

    pub(super) fn key(&self) -> Option<TokenStream> {
        self.args.key.as_ref().map(|key| self.computed(key, &KEY))
    }

    pub(super) fn fingerprint(&self) -> TokenStream {
        match &self.args.fingerprint {
            None => {
                let p = self.private();
                quote!(#p::FingerprintInput::None)
            }
            Some(fingerprint) => self.computed(fingerprint, &FINGERPRINT),
        }
    }

    fn computed(&self, parts: &Parts, whole: &Whole) -> TokenStream {
        let function = match whole.name {
            "fingerprint" if parts.is_composite() && !parts.in_one_text => "fingerprint_of_parts",
            name => name,
        };
        let call = self.call_at(parts.span(), function, &self.user(&self.whole(parts, whole)));
        alone(whole.name, &call)
    }

    /// A reference to the whole, in which each part is checked by itself.
    fn whole(&self, parts: &Parts, whole: &Whole) -> TokenStream {
        parts.reference(&|expr, reference| {
            let span = expr.span();
            if parts.in_one_text {
                let check = named(self.args, whole, expr, span);
                quote_spanned!(span=> #check(#reference))
            } else if whole.name == KEY.name {
                self.call_at(span, "key_part", &quote_spanned!(span=> &#reference))
            } else {
                // serde's trait has no form in which it hides the type of a part. So the compiler reports it at the whole.
                reference
            }
        })
    }

    /// What the store answers to this question.
    fn store(&self, asking: &TokenStream) -> TokenStream {
        let p = self.private();
        let Some(store) = &self.args.store else { return quote!(#p::installed(#asking)) };
        let user = self.user(store);
        let name = local("store");
        // A `match` keeps the temporaries of the expression alive, and the trait is in scope in the arm only, not in the user's
        // expression. A method call, as it makes the compiler dereference what the user has, such as an `Arc`.
        let lookup = quote_spanned!(store.span()=> (*#name).idempotency_store(#asking));
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

    /// `let claim: &Claim = ..;`: the first statement of the body, if `claim` was given.
    pub(super) fn bind_claim(&self) -> Option<TokenStream> {
        let user = self.args.claim.as_ref()?;
        let krate = self.args.library();
        let claim = local("claim");
        Some(quote!(let #user: &#krate::Claim = #claim.get();))
    }

    pub(super) fn on_error(&self) -> TokenStream {
        let p = self.private();
        match &self.args.on_error {
            OnError::Release => quote!(#p::ReleaseErrors),
            OnError::Keep => quote!(#p::KeepErrors),
            OnError::Record(span) => self.policy(*span, "record_errors", None),
            OnError::RecordIf(accept) => self.policy(accept.span(), "record_errors_if", Some(accept)),
            OnError::Decide(decide) => self.policy(decide.span(), "decide_errors", Some(decide)),
        }
    }

    pub(super) fn on_crash(&self) -> TokenStream {
        let p = self.private();
        match &self.args.on_crash {
            OnCrash::Rerun | OnCrash::Park => quote!(#p::NoReconcile),
            OnCrash::Path(find_out) => self.policy(find_out.span(), "reconcile", Some(find_out)),
            OnCrash::Closure(find_out) => {
                let (krate, claim, name) = (self.args.library(), local("claim"), local("find_out"));
                let find_out = self.policy(find_out.span(), "reconcile_closure", Some(find_out));
                quote! {{
                    let #name = #find_out;
                    #p::ReconcileClosure(move |#claim: #krate::Claim| async move { #name(&#claim).await })
                }}
            }
        }
    }

    pub(super) fn on_decode(&self) -> TokenStream {
        match &self.args.on_decode {
            Some(answer) => self.policy(answer.span(), "answer_unreadable", Some(answer)),
            None => {
                let p = self.private();
                quote!(#p::RefuseUnreadable)
            }
        }
    }

    fn policy(&self, span: Span, name: &str, function: Option<&dyn ToTokens>) -> TokenStream {
        let ops = self.call_at(span, "the", &local("ops").into_token_stream());
        let function = function.map(|function| self.user(&function));
        self.call_at(span, name, &quote_spanned!(span=> #ops, #function))
    }
}

/// A block that evaluates the value in a statement of its own, at whose end its temporaries are dropped. So a lock that the
/// expression of the key takes is released before the expression of the fingerprint takes it.
fn alone(name: &str, value: &TokenStream) -> TokenStream {
    let name = local(name);
    quote!({ let #name = #value; #name })
}

/// The name of a variable in generated code. It is another name than one of the user's, even with the same letters.
pub(super) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// These tokens, which hold none of our local variables, as if they were written at `span`. So an error is shown there, and without
/// a note that it comes from a macro.
pub(super) fn located(tokens: TokenStream, span: Span) -> TokenStream {
    let place = |mut token: TokenTree| {
        token.set_span(span);
        token
    };
    tokens.into_iter().map(place).collect()
}
