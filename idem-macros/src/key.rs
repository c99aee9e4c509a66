//! The expressions of `key` and `fingerprint`, such as `"order_id"` or `"tenant, order.id"`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{Expr, Ident, LitStr, Pat, Token};

/// The expressions of `key` or `fingerprint`.
#[derive(Clone)]
pub(crate) struct Parts {
    /// The expressions, as they were written.
    pub(crate) exprs: Vec<Expr>,
    /// The place of the whole, if the key is composite: several expressions, or a tuple, even of one element.
    composite: Option<Span>,
    /// Whether they were written as one string literal, which is the place of each of them.
    pub(crate) in_one_text: bool,
}

impl Parts {
    /// Reads the expressions from a string literal. They get the literal's span, so that rustc shows the literal in an error.
    pub(crate) fn from_text(name: &str, text: &LitStr) -> syn::Result<Self> {
        let written = text.value();
        if written.trim().is_empty() {
            return Err(empty(name, text));
        }
        let list = text.parse_with(Punctuated::<Expr, Token![,]>::parse_terminated).map_err(|_| {
            let for_a_template = if has_placeholder(&written) {
                format!("; for a text with values in it, write `{name} = format!({written:?})`")
            } else {
                String::new()
            };
            syn::Error::new(
                text.span(),
                format!(
                    "`{name}` holds {written:?}, which is not a Rust expression: write one over the parameters, such as \
                     \"order_id\" or \"order.id\", or several, such as \"tenant, order.id\"{for_a_template}"
                ),
            )
        })?;
        let mut exprs: Vec<Expr> = list.into_iter().collect();
        match exprs.pop() {
            Some(only) if exprs.is_empty() => Ok(Self { in_one_text: true, ..Self::from_expr(name, only)? }),
            Some(last) => {
                exprs.push(last);
                Ok(Self { exprs, composite: Some(text.span()), in_one_text: true })
            }
            None => Err(empty(name, text)),
        }
    }

    /// Takes the expression, or the elements of a tuple.
    pub(crate) fn from_expr(name: &str, expr: Expr) -> syn::Result<Self> {
        match ungroup(expr) {
            Expr::Tuple(tuple) if tuple.elems.is_empty() => Err(empty(name, tuple)),
            Expr::Tuple(tuple) => {
                let span = tuple.paren_token.span.join();
                Ok(Self { exprs: tuple.elems.into_iter().collect(), composite: Some(span), in_one_text: false })
            }
            expr => Ok(Self { exprs: vec![expr], composite: None, in_one_text: false }),
        }
    }

    /// The place of the whole; for a single expression, the place of it.
    pub(crate) fn span(&self) -> Span {
        self.composite.or_else(|| self.exprs.first().map(Expr::span)).unwrap_or_else(Span::call_site)
    }

    pub(crate) fn is_composite(&self) -> bool {
        self.composite.is_some()
    }

    /// Tells the site how the key is written, for the error about a key that is missing.
    pub(crate) fn told_to_site(&self) -> TokenStream {
        let texts = self.exprs.iter().map(text);
        match self.composite {
            Some(_) => quote!(.parts(&[#(#texts),*])),
            None => quote!(.key(#(#texts)*)),
        }
    }

    /// An expression that is a reference to the key. Each part is behind a reference of its own, so that no part is moved.
    /// `checked` is given each part of a composite key, and the reference to it.
    pub(crate) fn reference(&self, checked: &dyn Fn(&Expr, TokenStream) -> TokenStream) -> TokenStream {
        let parts = self.exprs.iter();
        match self.composite {
            Some(span) => tuple(parts, span, checked),
            None => parts.map(|expr| reference(expr, &|_, reference| reference)).collect(),
        }
    }
}

fn tuple<'e>(
    parts: impl Iterator<Item = &'e Expr>,
    span: Span,
    checked: &dyn Fn(&Expr, TokenStream) -> TokenStream,
) -> TokenStream {
    let parts = parts.map(|part| reference(part, checked));
    quote_spanned!(span=> &(#(#parts,)*))
}

/// The expression as it was written, spaces aside. The compiler prints `& order` and `str :: trim` for `&order` and
/// `str::trim`, so such spaces are removed.
pub(crate) fn text(expr: &Expr) -> String {
    let ends_with_prefix = |text: &str| {
        let operand = text.strip_suffix(['&', '*', '-', '!']).map(str::trim_end);
        operand
            .is_some_and(|before| before.is_empty() || before.ends_with(['(', '[', '{', ',', '&', '*', '-', '!', '=']))
    };
    let mut text = String::new();
    for c in expr.to_token_stream().to_string().replace(" :: ", "::").chars() {
        if c != ' ' || !ends_with_prefix(&text) {
            text.push(c);
        }
    }
    text
}

fn empty(name: &str, at: impl quote::ToTokens) -> syn::Error {
    syn::Error::new_spanned(
        at,
        format!("`{name}` is empty: write an expression over the parameters, such as `{name} = \"order_id\"`"),
    )
}

fn reference(expr: &Expr, checked: &dyn Fn(&Expr, TokenStream) -> TokenStream) -> TokenStream {
    let span = expr.span();
    match expr {
        Expr::Tuple(inner) => tuple(inner.elems.iter(), span, checked),
        // Without the parentheses, the `&` would apply to the first part of a range only.
        expr => checked(expr, quote_spanned!(span=> &(#expr))),
    }
}

/// An expression without the invisible parentheses that `macro_rules!` puts around it.
pub(crate) fn ungroup(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => ungroup(*group.expr),
        expr => expr,
    }
}

/// Whether a text has a `{..}` as a format string has.
pub(crate) fn has_placeholder(text: &str) -> bool {
    text.split_once('{').is_some_and(|(_, behind)| behind.contains('}'))
}

/// The name, if the expression is nothing but a name.
pub(crate) fn name(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        Expr::Group(group) => name(&group.expr),
        Expr::Paren(paren) => name(&paren.expr),
        _ => None,
    }
}

/// The variable of an expression that is a variable, a field of one, or what one of these points to.
pub(crate) fn root(place: &Expr) -> Option<&Ident> {
    match place {
        Expr::Field(field) => root(&field.base),
        Expr::Paren(inner) => root(&inner.expr),
        Expr::Group(inner) => root(&inner.expr),
        Expr::Unary(deref) if matches!(deref.op, syn::UnOp::Deref(_)) => root(&deref.expr),
        place => name(place),
    }
}

/// The names that a pattern binds.
pub(crate) fn bindings(pattern: &Pat) -> Vec<&syn::PatIdent> {
    struct Bindings<'ast>(Vec<&'ast syn::PatIdent>);
    impl<'ast> Visit<'ast> for Bindings<'ast> {
        fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
            // In a pattern, a unit struct or a constant looks like a binding. Their names begin with a capital letter.
            let known = self.0.iter().any(|known| known.ident == pattern.ident);
            if !known && !pattern.ident.unraw().to_string().starts_with(char::is_uppercase) {
                self.0.push(pattern);
            }
            syn::visit::visit_pat_ident(self, pattern);
        }
        fn visit_expr(&mut self, _: &'ast Expr) {}
    }
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat(pattern);
    bindings.0
}

/// Whether these tokens name this variable, as an identifier or inside a format string.
pub(crate) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    let in_format = format!("{{{}", name.unraw());
    any(tokens, &|token| match token {
        TokenTree::Ident(ident) => ident == name,
        TokenTree::Literal(literal) => literal.to_string().contains(&in_format),
        _ => false,
    })
}

fn any(tokens: TokenStream, found: &impl Fn(&TokenTree) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => any(group.stream(), found),
        token => found(&token),
    })
}
