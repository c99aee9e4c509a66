//! Methods under `#[async_trait]`. That attribute expands first and turns the `async fn` into a sync function that returns a boxed
//! future; the handler's body is inside of this future.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::parse::Parser as _;
use syn::{Block, Expr, ExprCall, GenericArgument, GenericParam, Ident, Local, Pat, PathArguments, Stmt, Type};

use crate::item::{Body, Function, ungroup};
use crate::key::bindings;

/// The parts of a method that `#[async_trait]` has rewritten. What it writes is this:
///
/// ```text
/// Box::pin(async move {
///     if let Some(__ret) = None::<Ret> { return __ret; }
///     let __self = self;
///     let order = order;
///     let (a, b) = __arg2;
///     let __ret: Ret = { BODY };
///     __ret
/// })
/// ```
pub(crate) struct Hidden {
    /// The statements before `Box::pin`.
    pub(crate) before: Vec<Stmt>,
    /// `Box::pin`.
    pub(crate) pin: Expr,
    /// The statements before the body, which bind the parameters.
    pub(crate) prelude: Vec<Stmt>,
    pub(crate) body: Body,
    pub(crate) output: Type,
}

impl Hidden {
    /// Takes the method apart. `None` if `#[async_trait]` did not write it.
    pub(crate) fn find(function: &Function) -> Option<Self> {
        let marked =
            function.sig.generics.params.iter().any(
                |param| matches!(param, GenericParam::Lifetime(lifetime) if lifetime.lifetime.ident == "async_trait"),
            );
        if function.sig.asyncness.is_some() || !marked {
            return None;
        }
        let output = future_output(function.output()?)?;
        let mut before = Block::parse_within.parse2(function.body.stmts.clone()).ok()?;
        let Some(Stmt::Expr(Expr::Call(call), None)) = before.pop() else { return None };
        let (pin, block) = pinned(call)?;
        let (prelude, body) = split(block);
        Some(Self { before, pin, prelude, body, output })
    }

    /// The names that the prelude binds.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &syn::PatIdent> {
        self.prelude.iter().flat_map(|stmt| match stmt {
            Stmt::Local(local) => bindings(&local.pat),
            _ => Vec::new(),
        })
    }

    /// Renames `self` to `__self` in an expression of the user's, where the prelude has renamed it.
    pub(crate) fn rename_self(&self, tokens: TokenStream) -> TokenStream {
        let renamed = self.bindings().any(|binding| binding.ident == "__self");
        if renamed { rename_self(tokens) } else { tokens }
    }
}

/// `Pin<Box<dyn Future<Output = T> + ...>>`
fn future_output(ty: &Type) -> Option<Type> {
    match ungroup(ty) {
        Type::Path(path) => {
            let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => future_output(ty),
                _ => None,
            })
        }
        Type::TraitObject(object) => object.bounds.iter().find_map(|bound| {
            let syn::TypeParamBound::Trait(bound) = bound else { return None };
            let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments else { return None };
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(output) if output.ident == "Output" => Some(output.ty.clone()),
                _ => None,
            })
        }),
        _ => None,
    }
}

/// `Box::pin(async move { ... })`
fn pinned(mut call: ExprCall) -> Option<(Expr, Block)> {
    let Some(Expr::Async(future)) = call.args.pop() else { return None };
    (call.args.is_empty() && future.capture.is_some()).then_some((*call.func, future.block))
}

/// Splits the block into the statements that bind the parameters, and the body.
fn split(block: Block) -> (Vec<Stmt>, Body) {
    let span = block.brace_token.span.join();
    let mut stmts = block.stmts;
    let body = stmts.iter().rposition(|stmt| matches!(stmt, Stmt::Local(local) if is_result(&local.pat)));
    let found = body.map(|body| stmts.drain(body..).collect::<Vec<_>>());
    if let Some(Some(Stmt::Local(Local { init: Some(init), .. }))) = found.map(|found| found.into_iter().next())
        && let Expr::Block(body) = *init.expr
    {
        let span = body.block.brace_token.span.join();
        return (stmts, Body::of(&body.block.stmts, span));
    }
    // Another attribute has changed the block too, so that the prelude can't be told from the body. Parameters that are simple
    // names are in scope all the same.
    (Vec::new(), Body::of(&stmts, span))
}

/// `__ret: T`
fn is_result(pattern: &Pat) -> bool {
    match pattern {
        Pat::Type(typed) => is_result(&typed.pat),
        Pat::Ident(pattern) => pattern.ident == "__ret",
        _ => false,
    }
}

fn rename_self(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter().peekable();
    let mut renamed = TokenStream::new();
    while let Some(token) = tokens.next() {
        let next_is_colon = matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        match token {
            // The `self` of the path `self::function` is not the receiver.
            TokenTree::Ident(ident) if ident == "self" && !next_is_colon => {
                Ident::new("__self", ident.span()).to_tokens(&mut renamed);
            }
            TokenTree::Group(group) => {
                let mut inner = proc_macro2::Group::new(group.delimiter(), rename_self(group.stream()));
                inner.set_span(group.span());
                inner.to_tokens(&mut renamed);
            }
            token => token.to_tokens(&mut renamed),
        }
    }
    renamed
}
