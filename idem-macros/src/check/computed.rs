//! Refuses what is written like a template. Rust would compute `tenant - order`, and two messages would get one key.

use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Block, Expr, ExprStruct, Ident, Lit, Member, Stmt};

use crate::errors::Errors;
use crate::key::{self, Parts, text};

/// Reports each expression of this argument, `key` or `fingerprint`, that reads like a template. None does in parentheses.
pub(super) fn check(argument: &str, parts: &Parts, errors: &mut Errors) {
    parts.exprs.iter().for_each(|expr| check_expr(argument, expr, errors));
}

fn check_expr(argument: &str, expr: &Expr, errors: &mut Errors) {
    match expr {
        Expr::Group(group) => check_expr(argument, &group.expr, errors),
        Expr::Tuple(tuple) => tuple.elems.iter().for_each(|part| check_expr(argument, part, errors)),
        Expr::Range(range) => {
            range.start.iter().chain(&range.end).for_each(|bound| check_expr(argument, bound, errors));
        }
        expr => {
            if let Some(read_as) = read_as(argument, expr) {
                errors.at(expr, format!("`{}` is {read_as}: {}", text(expr), instead(argument, expr)));
            }
        }
    }
}

/// Whether the expression reads like a template, so that the names in it may be meant as text.
pub(super) fn is_template(expr: &Expr) -> bool {
    read_as("", expr).is_some()
}

/// What Rust reads an expression as that may be meant as a template. `None` for any other expression.
fn read_as(argument: &str, expr: &Expr) -> Option<String> {
    match expr {
        Expr::Binary(binary) => Some(format!(
            "computed with `{}`, so two different messages can get one {argument}",
            binary.op.to_token_stream()
        )),
        Expr::Block(block) if is_placeholder(&block.block) => Some("a block of code, and no placeholder".to_owned()),
        Expr::Struct(literal) if lowercase(literal).is_some() => {
            Some("a value of a struct, and no text with a placeholder".to_owned())
        }
        _ => None,
    }
}

/// What to write in place of it.
fn instead(argument: &str, expr: &Expr) -> String {
    let mut parts = Vec::new();
    operands(expr, &mut parts);
    let mut ways = Vec::new();
    if !parts.is_empty() {
        ways.push(format!("write `{argument} = \"{}\"`", parts.join(", ")));
    }
    if let Some(template) = template(expr, names_placeholder(expr)).filter(|_| parts.len() > 1 || ways.is_empty()) {
        ways.push(format!("`{argument} = format!(\"{template}\")`"));
    }
    ways.push("put it in parentheses if that is meant".to_owned());
    ways.join(", or ")
}

/// The names and expressions that a template would put together.
fn operands(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::Binary(binary) => {
            operands(&binary.left, found);
            operands(&binary.right, found);
        }
        Expr::Block(block) => placeholder(&block.block).into_iter().for_each(|inner| operands(inner, found)),
        Expr::Struct(literal) => literal.fields.iter().for_each(|field| operands(&field.expr, found)),
        Expr::Lit(_) => {}
        expr => found.push(text(expr)),
    }
}

/// The expression as a format string. `None` where it can't be one. `names_are_text`: a name outside of `{}` stands for itself.
fn template(expr: &Expr, names_are_text: bool) -> Option<String> {
    match expr {
        Expr::Group(group) => template(&group.expr, names_are_text),
        Expr::Binary(binary) => {
            let (left, right) = (template(&binary.left, names_are_text)?, template(&binary.right, names_are_text)?);
            Some(format!("{left}{}{right}", binary.op.to_token_stream()))
        }
        Expr::Block(block) => template(placeholder(&block.block)?, false),
        Expr::Struct(literal) => {
            let field =
                literal.fields.first().filter(|field| field.colon_token.is_none() && literal.fields.len() == 1)?;
            let Member::Named(name) = &field.member else { return None };
            Some(format!("{}{{{name}}}", lowercase(literal)?))
        }
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => Some(number.to_string()),
            _ => None,
        },
        expr => key::name(expr).map(|name| if names_are_text { name.to_string() } else { format!("{{{name}}}") }),
    }
}

fn names_placeholder(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(binary) => names_placeholder(&binary.left) || names_placeholder(&binary.right),
        Expr::Block(_) | Expr::Struct(_) => true,
        _ => false,
    }
}

/// Whether the block reads like the `{tenant}` or the `{}` of a format string.
fn is_placeholder(block: &Block) -> bool {
    block.stmts.is_empty() || placeholder(block).is_some()
}

/// The expression of a block that holds nothing else.
fn placeholder(block: &Block) -> Option<&Expr> {
    match block.stmts.as_slice() {
        [Stmt::Expr(expr, None)] => Some(expr),
        _ => None,
    }
}

/// The name of a struct literal whose name is written as no struct's is, such as the `order_` of `order_{id}`.
fn lowercase(literal: &ExprStruct) -> Option<&Ident> {
    literal.path.get_ident().filter(|name| !name.unraw().to_string().starts_with(char::is_uppercase))
}
