//! The parameters that the expressions of `key`, `fingerprint` and `store` borrow.

use proc_macro2::TokenStream;
use quote::ToTokens as _;
use syn::visit_mut::VisitMut;
use syn::{FnArg, Ident};

use crate::args::Args;
use crate::item::Function;
use crate::key::{bindings, mentions};

/// A parameter that the key, the fingerprint or the store borrows.
pub(crate) struct Borrowed {
    pub(crate) ident: Ident,
    pub(crate) mutable: bool,
}

/// Finds the parameters that the arguments mention, and removes `mut` from them: the variable that the body gets has it instead.
///
/// A future keeps the memory of a variable that was borrowed until its scope ends, even if the value was moved out of it. So
/// the expansion moves these parameters into an inner scope, borrows them there, and moves them on to the body: the future holds
/// a large argument once, not twice.
pub(crate) fn take_borrowed(args: &Args, function: &mut Function) -> Vec<Borrowed> {
    let mut read = TokenStream::new();
    for parts in [&args.key, &args.fingerprint].into_iter().flatten() {
        parts.exprs.iter().for_each(|expr| expr.to_tokens(&mut read));
    }
    args.store.to_tokens(&mut read);
    let mut borrowed = Vec::new();
    for input in &mut function.sig.inputs {
        let FnArg::Typed(parameter) = input else { continue };
        // Only the compiler knows whether a parameter with a `#[cfg]` exists.
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

/// Removes `mut` from this parameter: the body gets a variable of its own, which has it.
pub(crate) fn take_mut(ident: &Ident, function: &mut Function) {
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(parameter) = input {
            TakeMut(ident).visit_pat_mut(&mut parameter.pat);
        }
    }
}

/// Removes `mut` from the bindings of this name.
struct TakeMut<'i>(&'i Ident);

impl VisitMut for TakeMut<'_> {
    fn visit_pat_ident_mut(&mut self, pattern: &mut syn::PatIdent) {
        if pattern.ident == *self.0 {
            pattern.mutability = None;
        }
        syn::visit_mut::visit_pat_ident_mut(self, pattern);
    }
}
