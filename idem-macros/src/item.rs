//! The annotated function: its signature parsed, its body taken as it is.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, TokenStreamExt as _, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, FnArg, Ident, ReturnType, Signature, Stmt, Token, Type, Visibility};

/// A function with a body.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) default: Option<Ident>,
    pub(crate) sig: Signature,
    pub(crate) body: Body,
}

/// A body: half-typed code in it is none of the attribute's business.
pub(crate) struct Body {
    /// `#![...]` at its beginning: they have to stay at the beginning of the function.
    pub(crate) inner_attrs: Vec<Attribute>,
    pub(crate) stmts: TokenStream,
    pub(crate) span: Span,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let default = if input.peek(Token![default]) {
            Some(input.call(<Ident as syn::ext::IdentExt>::parse_any)?)
        } else {
            None
        };
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            return Err(syn::Error::new_spanned(
                &sig.ident,
                "this method has no body: annotate the methods that implement it, or give it a default body",
            ));
        }
        Ok(Self { attrs, vis, default, sig, body: input.parse()? })
    }
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let content;
        let brace = syn::braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        Ok(Self { inner_attrs, stmts: content.parse()?, span: brace.span.join() })
    }
}

impl Body {
    /// A body that was parsed as a part of something else.
    pub(crate) fn of(stmts: &[Stmt], span: Span) -> Self {
        Self { inner_attrs: Vec::new(), stmts: quote!(#(#stmts)*), span }
    }
}

impl ToTokens for Body {
    /// The body in braces that stand where the user's did, but count as generated: else a body of one line would be told
    /// to leave them out (`unused_braces`).
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.append(braces(self.stmts.clone(), Span::mixed_site().located_at(self.span)));
    }
}

/// A block with the place of another one.
pub(crate) fn braces(stmts: TokenStream, span: Span) -> Group {
    let mut group = Group::new(Delimiter::Brace, stmts);
    group.set_span(span);
    group
}

impl Function {
    /// The type that it returns, as it is written.
    pub(crate) fn output(&self) -> Option<&Type> {
        match &self.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => Some(ungroup(output)),
        }
    }

    /// The parameters but `self`.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &syn::PatType> {
        self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        })
    }
}

/// A type without the invisible or visible parentheses around it.
pub(crate) fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        ty => ty,
    }
}

/// What an item is that isn't a function: its keyword.
pub(crate) fn keyword(item: &TokenStream) -> Option<Ident> {
    const KEYWORDS: [&str; 13] = [
        "fn",
        "struct",
        "enum",
        "union",
        "impl",
        "trait",
        "mod",
        "static",
        "type",
        "use",
        "extern",
        "let",
        "macro_rules",
    ];
    let mut constant = None;
    for token in item.clone() {
        let TokenTree::Ident(ident) = token else { continue };
        if KEYWORDS.iter().any(|keyword| ident == keyword) {
            // `extern "C" fn`
            if ident == "extern"
                && item.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(i) if i == "fn"))
            {
                continue;
            }
            return Some(ident);
        }
        // `const fn`
        if ident == "const" {
            constant = Some(ident);
        }
    }
    constant
}
