//! The last argument of `run_once!`: an async block or a closure without parameters, its body taken as it is.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Expr, ReturnType, Token, Type, token};

use crate::item::{Body, ungroup};

/// What runs once: `async { .. }`, `async || -> R { .. }` or `|| -> R { .. }`, each also with `move`.
pub(crate) struct Block {
    pub(crate) asyncness: Option<Token![async]>,
    pub(crate) capture: Option<Token![move]>,
    /// `-> R`, if it was given.
    output: ReturnType,
    pub(crate) body: Body,
    /// The place of its first token.
    pub(crate) place: Span,
}

impl Block {
    /// Whether a block begins here, and not an argument.
    pub(crate) fn begins(input: ParseStream<'_>) -> bool {
        input.peek(Token![async])
            || input.peek(Token![move])
            || input.peek(Token![|])
            || input.peek(Token![||])
            || input.peek(token::Brace)
    }

    /// Reads the block, behind which nothing may stand but a comma.
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let place = input.span();
        let asyncness: Option<Token![async]> = input.parse()?;
        let capture = input.parse()?;
        let is_closure = bars(input)?;
        if asyncness.is_none() && !is_closure {
            return Err(missing(place));
        }
        let output: ReturnType = if is_closure { input.parse()? } else { ReturnType::Default };
        let body = if input.peek(token::Brace) || !is_closure {
            let content;
            let brace = syn::braced!(content in input);
            Body { inner_attrs: Vec::new(), stmts: content.parse()?, span: brace.span.join() }
        } else {
            let expr: Expr = input.parse()?;
            Body { inner_attrs: Vec::new(), span: expr.span(), stmts: expr.into_token_stream() }
        };
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("the block is the last argument of `run_once!`: write the others before it"));
        }
        Ok(Self { asyncness, capture, output, body, place })
    }

    /// The type that it returns, if it is written.
    pub(crate) fn output(&self) -> Option<&Type> {
        match &self.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => Some(ungroup(output)),
        }
    }

    /// A closure that runs the block, with this parameter, and these statements before it.
    pub(crate) fn closure(&self, parameter: Option<&TokenStream>, before: &TokenStream) -> TokenStream {
        let Self { asyncness, capture, output, body, place } = self;
        let head = quote_spanned!(*place=> #asyncness #capture |#parameter| #output);
        if before.is_empty() { quote!(#head #body) } else { quote!(#head { #before #body }) }
    }
}

/// The error if there is no block.
pub(crate) fn missing(place: Span) -> syn::Error {
    syn::Error::new(
        place,
        "the last argument of `run_once!` is the block that runs once: write `async { .. }`, or `|| { .. }` where nothing in it \
         awaits",
    )
}

/// Reads the `||` of a closure. `false`: there is none.
fn bars(input: ParseStream<'_>) -> syn::Result<bool> {
    if input.parse::<Option<Token![||]>>()?.is_some() {
        return Ok(true);
    }
    let Some(bar) = input.parse::<Option<Token![|]>>()? else { return Ok(false) };
    if input.parse::<Option<Token![|]>>()?.is_none() {
        return Err(syn::Error::new(
            bar.span(),
            "this closure takes no arguments, as it uses what is in scope: write `||`; for the claim, write `claim = c` before it",
        ));
    }
    Ok(true)
}
