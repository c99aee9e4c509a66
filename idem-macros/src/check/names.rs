//! The names that the expressions of `key` and `fingerprint` use: each should be a parameter's.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::visit::Visit;
use syn::{Block, Expr, Ident};

use super::computed::is_template;
use crate::errors::Errors;
use crate::key::{Parts, name};
use crate::suggest;

/// Reports each name in an expression that should be a parameter's and isn't.
///
/// `body` is the function's: a name that is bound in it is a mistake of another kind than one that nobody knows.
pub(super) fn check_names(
    argument: &str,
    parts: &Parts,
    parameters: &BTreeSet<String>,
    body: &TokenStream,
    errors: &mut Errors,
) {
    let mut names = Names::default();
    for expr in parts.exprs.iter().filter(|expr| !is_template(expr)) {
        names.visit_expr(expr);
    }
    let mut reported = BTreeSet::new();
    for Name { ident, may_be_a_function } in names.used {
        let name = ident.unraw().to_string();
        let known = name == "self" || parameters.contains(&name) || names.bound.contains(&name);
        let constant = name.starts_with(char::is_uppercase);
        let similar = suggest::nearest(&name, parameters.iter().map(String::as_str));
        if known || constant || (may_be_a_function && similar.is_none()) || !reported.insert(name.clone()) {
            continue;
        }
        if is_bound_in(body, &name) {
            errors.at(
                &ident,
                format!(
                    "`{name}` is made in the body: use `run_once!` behind it, or move what follows into a function that \
                     takes `{name}`"
                ),
            );
        } else {
            errors.at(&ident, unknown_name(argument, &name, similar, parameters));
        }
    }
}

/// Whether a pattern in this body binds the name. A body that can't be parsed binds none.
fn is_bound_in(body: &TokenStream, name: &str) -> bool {
    let mut names = Names::default();
    let stmts = Block::parse_within.parse2(body.clone()).unwrap_or_default();
    stmts.iter().for_each(|stmt| names.visit_stmt(stmt));
    names.bound.contains(name)
}

fn unknown_name(argument: &str, name: &str, similar: Option<&str>, parameters: &BTreeSet<String>) -> String {
    let listed = suggest::list(parameters.iter().map(String::as_str), "and");
    match (similar, parameters.len()) {
        (Some(similar), _) => {
            format!("`{name}` names no parameter: did you mean `{similar}`? (the parameters are {listed})")
        }
        (None, 0) => {
            format!("`{name}` names no parameter: this function has none for `{argument}` to be computed from")
        }
        (None, 1) => format!("`{name}` names no parameter: the only parameter is {listed}"),
        (None, _) => format!("`{name}` names no parameter: the parameters are {listed}"),
    }
}

struct Name {
    ident: Ident,
    may_be_a_function: bool,
}

/// The names that an expression uses, and those that it binds itself.
#[derive(Default)]
struct Names {
    used: Vec<Name>,
    bound: BTreeSet<String>,
}

impl Names {
    fn argument(&mut self, argument: &Expr) {
        match name(argument) {
            // In `.map(normalize)` the name can be a function's.
            Some(ident) => self.used.push(Name { ident: ident.clone(), may_be_a_function: true }),
            None => self.visit_expr(argument),
        }
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        if let Some(ident) = name(expr) {
            self.used.push(Name { ident: ident.clone(), may_be_a_function: false });
        } else {
            syn::visit::visit_expr(self, expr);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        // What is called is a function.
        if name(&call.func).is_none() {
            self.visit_expr(&call.func);
        }
        call.args.iter().for_each(|argument| self.argument(argument));
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.visit_expr(&call.receiver);
        call.args.iter().for_each(|argument| self.argument(argument));
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.bound.insert(pattern.ident.unraw().to_string());
        syn::visit::visit_pat_ident(self, pattern);
    }

    fn visit_item(&mut self, _: &'ast syn::Item) {}
}
