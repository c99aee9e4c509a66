//! A key or a fingerprint of several parts. An error about the type of a part is at this part, or names it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, Ident};

use crate::args::Args;
use crate::key::text;

/// What the parts belong to.
pub(super) struct Whole {
    /// The name of the argument, and of the function of the module `private` that takes the whole.
    pub(super) name: &'static str,
    what: &'static str,
    /// The trait of a part, in the module `private`, and its name for users.
    bound: (&'static str, &'static str),
    note: &'static str,
}

pub(super) const KEY: Whole = Whole {
    name: "key",
    what: "an idempotency key",
    bound: ("IdempotencyKey", "IdempotencyKey"),
    note: "a key is a string, an integer, a `bool`, a `char`, bytes, a `Uuid`, or a tuple of those: use the field that \
           identifies the message, such as `order.id`, or convert it, such as `url.as_str()`, `id.to_string()` or, for the value of a \
           header, `headers.get(\"idempotency-key\").map(HeaderValue::as_bytes)`",
};

pub(super) const FINGERPRINT: Whole = Whole {
    name: "fingerprint",
    what: "a fingerprint",
    bound: ("FingerprintPart", "serde::Serialize"),
    note: "derive `serde::Serialize` for this type, or name the fields that duplicates must have in common",
};

// Input:
//     key = "tenant, order"
//
// Output, for `order`:
//     ({
//         mod part {
//             #[diagnostic::on_unimplemented(message = "`order` can't be a part of an idempotency key: ..")]
//             trait Part: IdempotencyKey {}
//             #[diagnostic::do_not_recommend]
//             impl<T: IdempotencyKey + ?Sized> Part for T {}
//             fn part<T: Part + ?Sized>(part: &T) -> impl IdempotencyKey + '_ { part }
//         }
//         part::part
//     })(&(order))
//
// All expressions of a string literal have its place. So the error has to name the one that it is about, and only a trait that is
// written here can. It is in a module of its own, as `diagnostic` can be the name of a user's module or import. A `crate` that is
// relative to where it was written has another meaning in there, so with one the trait stands in place.
pub(super) fn named(args: &Args, whole: &Whole, expr: &Expr, span: Span) -> TokenStream {
    let Whole { what, bound: (bound, shown), note, .. } = whole;
    let (krate, bound) = (args.library(), Ident::new(bound, span));
    let expr = text(expr).replace('{', "{{").replace('}', "}}");
    let message = format!("`{expr}` can't be a part of {what}: its type is `{{Self}}`");
    let label = format!("`{expr}` does not implement `{shown}`");
    let items = |visibility: Option<TokenStream>| {
        quote_spanned! {span=>
            #[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]
            #visibility trait Part: #krate::private::#bound {}
            #[diagnostic::do_not_recommend]
            impl<T: #krate::private::#bound + ?::core::marker::Sized> Part for T {}
            #visibility fn part<T: Part + ?::core::marker::Sized>(part: &T) -> impl #krate::private::#bound + '_ {
                part
            }
        }
    };
    if args.library_is_absolute() {
        let items = items(Some(quote!(pub(super))));
        quote_spanned!(span=> ({ mod part { #items } part::part }))
    } else {
        let items = items(None);
        quote_spanned!(span=> ({ #items part }))
    }
}
