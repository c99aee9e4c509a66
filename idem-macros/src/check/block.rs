//! What is refused of `run_once!` alone.

use std::collections::BTreeSet;

use syn::parse::Parser as _;
use syn::visit::Visit;
use syn::{Expr, Generics, Lifetime, Stmt};

use super::{check_scope_path, check_settings, check_type};
use crate::args::{Args, Scope};
use crate::block::Block;
use crate::errors::Errors;
use crate::key::{mentions, root};

/// Reports every mistake in the arguments and in the block. `false`: what the block holds can't be compiled either.
pub(crate) fn check(args: &Args, block: &Block, errors: &mut Errors) -> bool {
    match &args.scope {
        Some(Scope::Const(path)) => check_scope_path(path, &BTreeSet::new(), &Generics::default(), errors),
        None if !args.was_given("scope") => errors.at_span(
            block.place,
            "`run_once!` has to name the scope of its keys, as it has no name of its own: add `scope = \"billing/charge\"`, \
             with a name that no other handler has",
        ),
        _ => {}
    }
    check_settings(args, block.asyncness.is_some(), block.place, errors);
    if let Some(output) = block.output() {
        check_type(output, errors);
    }
    check_capture(args, block, errors);
    check_jumps(block, errors)
}

/// Reports a `move` that takes the transaction away.
fn check_capture(args: &Args, block: &Block, errors: &mut Errors) {
    let (Some(reference), Some(capture)) = (&args.tx_reference, &block.capture) else { return };
    if let Some(variable) = root(&reference.expr)
        && mentions(block.body.stmts.clone(), variable)
    {
        let asyncness = block.asyncness.map_or("", |_| "async ");
        errors.at(
            capture,
            format!(
                "`{asyncness}move` takes `{variable}` away, but the result is written through it when the block has ended: leave \
                 `move` out"
            ),
        );
    }
}

/// Reports each `break` and `continue` of a loop around the block. `false` if there is one. A body that can't be parsed is left to
/// the compiler.
fn check_jumps(block: &Block, errors: &mut Errors) -> bool {
    let Ok(stmts) = syn::Block::parse_within.parse2(block.body.stmts.clone()) else { return true };
    let mut jumps = Jumps { labels: Vec::new(), in_loop: false, found: Vec::new() };
    stmts.iter().for_each(|stmt: &Stmt| jumps.visit_stmt(stmt));
    for (what, jump) in &jumps.found {
        errors.at(
            jump,
            format!(
                "a `{what}` can't leave the block of `run_once!`: `?` and `return` end the block, and the code behind it decides \
                 by its result how the loop around it goes on"
            ),
        );
    }
    jumps.found.is_empty()
}

/// The `break`s and `continue`s that leave the block.
struct Jumps<'b> {
    /// The labels in the block that are in scope.
    labels: Vec<&'b Lifetime>,
    in_loop: bool,
    found: Vec<(&'static str, &'b Expr)>,
}

impl<'b> Jumps<'b> {
    fn jump(&mut self, what: &'static str, label: Option<&Lifetime>, jump: &'b Expr) {
        let stays = label.map_or(self.in_loop, |label| self.labels.iter().any(|known| known.ident == label.ident));
        if !stays {
            self.found.push((what, jump));
        }
    }

    /// Visits what stands in a loop, or in a block with a label.
    fn inside(&mut self, label: Option<&'b syn::Label>, is_loop: bool, visit: impl FnOnce(&mut Self)) {
        let (in_loop, labels) = (self.in_loop, self.labels.len());
        self.in_loop |= is_loop;
        self.labels.extend(label.map(|label| &label.name));
        visit(self);
        self.in_loop = in_loop;
        self.labels.truncate(labels);
    }
}

impl<'b> Visit<'b> for Jumps<'b> {
    fn visit_expr(&mut self, expr: &'b Expr) {
        match expr {
            Expr::Break(jump) => {
                self.jump("break", jump.label.as_ref(), expr);
                jump.expr.iter().for_each(|value| self.visit_expr(value));
            }
            Expr::Continue(jump) => self.jump("continue", jump.label.as_ref(), expr),
            Expr::Loop(inner) => self.inside(inner.label.as_ref(), true, |jumps| jumps.visit_block(&inner.body)),
            Expr::While(inner) => self.inside(inner.label.as_ref(), true, |jumps| {
                jumps.visit_expr(&inner.cond);
                jumps.visit_block(&inner.body);
            }),
            Expr::ForLoop(inner) => {
                self.visit_expr(&inner.expr);
                self.inside(inner.label.as_ref(), true, |jumps| jumps.visit_block(&inner.body));
            }
            Expr::Block(inner) => self.inside(inner.label.as_ref(), false, |jumps| jumps.visit_block(&inner.block)),
            // No jump leaves these, so there the compiler's own error says enough.
            Expr::Closure(_) | Expr::Async(_) => {}
            expr => syn::visit::visit_expr(self, expr),
        }
    }

    fn visit_item(&mut self, _: &'b syn::Item) {}
}
