//! `tx = "tx"` and, in `run_once!`, `tx = &mut tx`: the transaction, and the arguments that can't be given with it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{ExprReference, Ident, Lifetime, Pat, Type, TypeReference};

use crate::args::Args;
use crate::errors::Errors;
use crate::item::{Function, ungroup};
use crate::key::bindings;
use crate::suggest;

/// The arguments that only lease mode has, and why tx mode doesn't have them.
const EXCLUDED: [(&str, &str); 7] = [
    ("store", "the claim is written through the transaction, to its own database"),
    ("lease", "the transaction holds the key until it ends, and no lease runs out"),
    ("wait", "a duplicate waits in the database, until the first transaction has ended"),
    ("on_error", "an `Err` leaves no claim behind, and the effects of the handler are rolled back by its caller"),
    ("on_crash", "a crash rolls the transaction back, and nothing is left in doubt"),
    ("on_store_error", "where its database takes no claim, it takes no effects either"),
    ("claim", "nobody can take the key from a transaction, so there is no fence"),
];

/// An example of the type of such a parameter, for messages.
const EXAMPLE: &str = "&mut sqlx::PgTransaction<'_>";

/// The transaction of a call.
pub(crate) enum Tx<'f> {
    /// A parameter of the annotated function.
    Parameter { pattern: &'f syn::PatIdent, reference: &'f TypeReference },
    /// The value of `tx` in `run_once!`.
    Reference(&'f ExprReference),
    /// The same, held in this variable.
    Lent { variable: Ident, reference: &'f ExprReference },
}

impl<'f> Tx<'f> {
    /// Finds the parameter. `None` if `tx` wasn't given, or doesn't name a parameter that is a reference.
    pub(crate) fn find(args: &Args, function: &'f Function) -> Option<Self> {
        let wanted = args.tx.as_ref()?;
        let (pattern, ty) = named(function).find(|(pattern, _)| pattern.ident == *wanted)?;
        match ungroup(ty) {
            Type::Reference(reference) => Some(Self::Parameter { pattern, reference }),
            _ => None,
        }
    }

    /// A `&mut` to the type that the trait is implemented for. For a parameter of type `&X` and for `tx = &x`, that type is `&X`
    /// itself.
    pub(crate) fn handle(&self) -> TokenStream {
        let (name, mutability) = match self {
            Self::Parameter { pattern, reference } => {
                let mut ident = pattern.ident.clone();
                ident.set_span(ident.span().located_at(self.place()));
                (quote_spanned!(self.place()=> *#ident), reference.mutability)
            }
            Self::Reference(reference) => (reference.expr.to_token_stream(), reference.mutability),
            Self::Lent { variable, reference } => (quote_spanned!(self.place()=> *#variable), reference.mutability),
        };
        match mutability {
            Some(_) => quote_spanned!(self.place()=> &mut #name),
            None => quote_spanned!(self.place()=> &mut &#name),
        }
    }

    /// The place of the referenced type, or of the reference. Generated code that doesn't compile where the type is no transaction
    /// has this place, so that the compiler's error points at it.
    pub(crate) fn place(&self) -> Span {
        match self {
            Self::Parameter { reference, .. } => reference.elem.span(),
            Self::Reference(reference) | Self::Lent { reference, .. } => reference.expr.span(),
        }
    }

    /// A statement that takes the reference, and the transaction behind it. `None` for a parameter, which is one.
    pub(crate) fn lend(&self) -> Option<(TokenStream, Self)> {
        let Self::Reference(reference) = self else { return None };
        let variable = Ident::new("handle", Span::mixed_site());
        Some((quote!(let #variable = #reference;), Self::Lent { variable, reference }))
    }

    /// Gives the body of a function a variable of that name of its own, which is dropped at the end of the body. A block uses the
    /// variable that is in scope.
    pub(crate) fn rebind(&self) -> Option<TokenStream> {
        let Self::Parameter { pattern: syn::PatIdent { ident, mutability, .. }, reference } = self else { return None };
        let mutable = reference.mutability;
        Some(quote!(let #mutability #ident = &#mutable *#ident;))
    }
}

/// The parameters that are a simple name, and their types.
fn named(function: &Function) -> impl Iterator<Item = (&syn::PatIdent, &Type)> {
    function.parameters().filter_map(|parameter| match &*parameter.pat {
        Pat::Ident(pattern) if pattern.subpat.is_none() => Some((pattern, &*parameter.ty)),
        _ => None,
    })
}

/// Reports arguments that can't be given with `tx`.
pub(crate) fn check_excluded(args: &Args, errors: &mut Errors) {
    if !args.in_transaction() {
        return;
    }
    for (name, why) in EXCLUDED {
        if let Some(place) = args.place_of(name) {
            errors.at_span(place, format!("`{name}` can't be given with `tx`: {why}"));
        }
    }
}

/// Reports a `tx` that doesn't name a parameter that is a reference to a transaction.
pub(crate) fn check(args: &Args, function: &Function, errors: &mut Errors) {
    let Some(tx) = &args.tx else { return };
    let Some((pattern, ty)) = named(function).find(|(pattern, _)| pattern.ident == *tx) else {
        if function.parameters().any(|parameter| bindings(&parameter.pat).iter().any(|bound| bound.ident == *tx)) {
            return errors.at(
                tx,
                format!(
                    "`{tx}` is a part of a parameter: the transaction has to be a parameter of its own, such as \
                     `{tx}: {EXAMPLE}`"
                ),
            );
        }
        let names: Vec<String> = named(function).map(|(pattern, _)| pattern.ident.unraw().to_string()).collect();
        let names = || names.iter().map(String::as_str);
        let similar = suggest::nearest(&tx.unraw().to_string(), names());
        let listed = suggest::list(names(), "and");
        return errors.at(
            tx,
            match similar {
                Some(similar) => format!("`{tx}` names no parameter: did you mean `{similar}`?"),
                None if listed.is_empty() => format!("`{tx}` names no parameter: add `{tx}: {EXAMPLE}`"),
                None => format!(
                    "`{tx}` names no parameter: `tx` needs one that is a reference to a transaction, such as \
                     `{tx}: {EXAMPLE}`; the parameters are {listed}"
                ),
            },
        );
    };
    let Type::Reference(reference) = ungroup(ty) else {
        return errors.at(
            ty,
            format!(
                "`{}` has to be a reference, such as `{EXAMPLE}` or `&rusqlite::Transaction<'_>`: the result is written \
                 through the transaction when the body has returned, and the caller commits it",
                pattern.ident
            ),
        );
    };
    if let (Some(lifetime), Some(_)) = (&reference.lifetime, reference.mutability)
        && mentions(&reference.elem, lifetime)
    {
        errors.at(
            reference,
            format!(
                "a `&{lifetime} mut` to something that lives for `{lifetime}` itself is borrowed for good, and can't be \
                 used after the body: leave the lifetimes out, or give the two different names"
            ),
        );
    }
}

fn mentions(ty: &Type, lifetime: &Lifetime) -> bool {
    struct Mentions<'l>(&'l Lifetime, bool);
    impl<'ast> Visit<'ast> for Mentions<'_> {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.1 |= lifetime == self.0;
        }
    }
    let mut mentions = Mentions(lifetime, false);
    mentions.visit_type(ty);
    mentions.1
}
