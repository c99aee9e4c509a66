//! The value of an argument: what stands behind its `=`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Expr, Ident, Lit, LitStr};

use crate::key::ungroup;

/// A string literal, or an expression.
pub(crate) enum Value {
    Text(LitStr),
    Code(Expr),
}

impl ToTokens for Value {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Text(text) => text.to_tokens(tokens),
            Self::Code(expr) => expr.to_tokens(tokens),
        }
    }
}

impl Value {
    /// The value that was parsed as this expression.
    pub(crate) fn of(expr: Expr) -> Self {
        match ungroup(expr) {
            Expr::Lit(literal) if literal.attrs.is_empty() => match literal.lit {
                Lit::Str(text) => Self::Text(text),
                _ => Self::Code(Expr::Lit(literal)),
            },
            expr => Self::Code(expr),
        }
    }

    /// The expression: the value itself, or the one in its text. `name` is the argument's.
    pub(crate) fn expression(self, name: &str) -> syn::Result<Expr> {
        match self {
            Self::Code(expr) => Ok(expr),
            Self::Text(text) => text.parse().map_err(|_| {
                syn::Error::new(
                    text.span(),
                    format!(
                        "`{name}` holds {:?}, which is not a Rust expression: write one, such as \"STORE\" or \
                             \"self.store\"",
                        text.value()
                    ),
                )
            }),
        }
    }

    /// The variable that the value names. Where it names none, `otherwise` is the error.
    pub(crate) fn variable(&self, otherwise: &str) -> syn::Result<Ident> {
        let ident = match self {
            Self::Text(text) => text.parse::<Ident>().ok(),
            Self::Code(Expr::Path(path)) if path.qself.is_none() => path.path.get_ident().cloned(),
            Self::Code(_) => None,
        };
        // `self` and the like parse as a path.
        ident
            .filter(|ident| syn::parse2::<Ident>(ident.to_token_stream()).is_ok() && ident != "_")
            .ok_or_else(|| syn::Error::new_spanned(self, otherwise))
    }
}
