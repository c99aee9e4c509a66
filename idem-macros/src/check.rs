//! Every check that needs only the text of the attribute and of the function, or of `run_once!`. Nothing is rewritten here.

pub(crate) mod block;
mod computed;
mod names;

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::visit::Visit;
use syn::{
    Attribute, Expr, ExprPath, GenericArgument, GenericParam, Generics, Ident, PathArguments, Type, TypeImplTrait,
    TypeParamBound,
};

use crate::args::{Args, Form, Scope};
use crate::duration::Length;
use crate::errors::Errors;
use crate::hidden::Hidden;
use crate::item::{Function, keyword, ungroup};
use crate::key::{bindings, name};
use crate::tx;

/// The error for an item that isn't a function, which says what kind of item it is.
pub(crate) fn not_a_function(item: &TokenStream, error: syn::Error) -> syn::Error {
    let Some(keyword) = keyword(item) else {
        return syn::Error::new(Span::call_site(), "`#[idempotent]` goes on a function or a method");
    };
    let what = match keyword.to_string().as_str() {
        "fn" => return error,
        "struct" => "a struct",
        "enum" => "an enum",
        "union" => "a union",
        "impl" => "an `impl` block: put it on each method in it that handles messages",
        "trait" => "a trait: put it on the methods that implement it",
        "mod" => "a module",
        "let" => "a statement: closures can't be annotated, so write a function",
        _ => "this item",
    };
    syn::Error::new_spanned(keyword, format!("`#[idempotent]` goes on a function or a method, and not on {what}"))
}

/// The longest tuple that `IdempotencyKey` is implemented for.
const MAX_PARTS: usize = 8;

/// Reports every mistake in the arguments and in the handler's signature.
pub(crate) fn check(args: &Args, function: &Function, hidden: Option<&Hidden>, errors: &mut Errors) {
    let known = parameters(function, hidden);
    let body = &hidden.map_or(&function.body, |hidden| &hidden.body).stmts;
    check_kind(function, errors);
    check_output(function, hidden, errors);
    check_scope(args, function, errors);
    if let Some(Scope::Const(path)) = &args.scope {
        check_scope_path(path, &known, &function.sig.generics, errors);
    }
    tx::check(args, function, errors);
    let is_async = hidden.is_some() || function.sig.asyncness.is_some();
    check_settings(args, is_async, function.sig.ident.span(), errors);
    if let Some(key) = &args.key {
        names::check_names("key", key, &known, body, errors);
        check_floats(&key.exprs, function, errors);
    }
    if let Some(fingerprint) = &args.fingerprint {
        names::check_names("fingerprint", fingerprint, &known, body, errors);
    }
    if let Some(claim) = &args.claim
        && known.contains(&claim.unraw().to_string())
    {
        errors.at(claim, format!("`{claim}` is a parameter already: give `claim` the name of a new variable"));
    }
}

/// Reports every mistake in the arguments that shows without a signature. `is_async`: what they belong to is. `user`: the place of
/// something that the user wrote.
fn check_settings(args: &Args, is_async: bool, user: Span, errors: &mut Errors) {
    check_durations(args, errors);
    tx::check_excluded(args, errors);
    for (name, parts) in [("key", &args.key), ("fingerprint", &args.fingerprint)] {
        parts.iter().for_each(|parts| computed::check(name, parts, errors));
    }
    match &args.key {
        Some(key) if key.exprs.len() > MAX_PARTS => errors.at_span(
            key.span(),
            format!("a key has at most {MAX_PARTS} parts: put some of them into a tuple, such as `key = (a, (b, c))`"),
        ),
        Some(_) => {}
        None if args.was_given("key") => {}
        None => errors.at_span(
            // The attribute or the macro, as the user's own text: otherwise the compiler adds that the error comes from a macro.
            Span::call_site().resolved_at(user),
            match args.form {
                Form::Attribute => {
                    "an idempotent handler needs a key: write `#[idempotent(key = \"order_id\")]`, with an expression over \
                     the parameters that identifies the message"
                }
                Form::Block => {
                    "`run_once!` needs a key: write `run_once!(key = order.id, ..)`, with an expression that identifies the \
                     message"
                }
            },
        ),
    }
    if let Some(span) = args.on_crash.function()
        && !is_async
    {
        let make_it = match args.form {
            Form::Attribute => "an `async` handler: make this function `async`",
            Form::Block => "an `async` block: write `async {` or `async || {`",
        };
        errors.at_span(
            span,
            format!(
                "a function as `on_crash` needs {make_it}, or write `on_crash = \"rerun\"` or `on_crash = \"park\"`"
            ),
        );
    }
}

/// The names that the key and the fingerprint can use.
fn parameters(function: &Function, hidden: Option<&Hidden>) -> BTreeSet<String> {
    let written = function.parameters().flat_map(|parameter| bindings(&parameter.pat));
    let rebound = hidden.into_iter().flat_map(Hidden::bindings);
    written
        .chain(rebound)
        .map(|binding| binding.ident.unraw().to_string())
        .filter(|name| hidden.is_none() || !name.starts_with("__"))
        .collect()
}

fn check_kind(function: &Function, errors: &mut Errors) {
    let again = |attr: &&Attribute| attr.path().segments.last().is_some_and(|last| last.ident == "idempotent");
    if let Some(again) = function.attrs.iter().find(again) {
        errors.at(
            again,
            "this function is idempotent already: name several keys in one attribute, as `key = \"tenant, id\"`",
        );
    }
    let sig = &function.sig;
    if let Some(constness) = &sig.constness {
        errors.at(constness, "a `const fn` can't be idempotent: it can't ask a store; remove `const`");
    }
    if let Some(abi) = &sig.abi
        && abi.name.as_ref().is_none_or(|name| name.value() != "Rust")
    {
        errors.at(
            abi,
            "a function with a foreign ABI can't be idempotent: annotate a Rust function, and call it from here",
        );
    }
    if let Some(variadic) = &sig.variadic {
        errors.at(variadic, "a function with variadic arguments can't be idempotent");
    }
    if sig.ident == "main" && sig.inputs.is_empty() {
        errors.at(
            &sig.ident,
            "`main` can't be idempotent: it handles no message; annotate the function that handles one",
        );
    }
}

const WRITE_RESULT: &str = "but the caller has to be told when a call is refused: write `-> Result<(), E>`, where `E` \
                            implements `From<idem_runtime::Error>`; where a trait fixes the return type, move the body into \
                            a function of its own, or use `run_once!`";

fn check_output(function: &Function, hidden: Option<&Hidden>, errors: &mut Errors) {
    let output = match hidden {
        // `#[async_trait]` writes a `()` of its own where the user wrote no type.
        Some(hidden) => Some(ungroup(&hidden.output)).filter(|output| !is_unit(output)),
        None => function.output(),
    };
    match output {
        None => errors.at(&function.sig.ident, format!("this handler returns nothing, {WRITE_RESULT}")),
        Some(output) if hidden.is_none() && is_future(output) => errors.at(
            output,
            "this function returns a future and is not `async`: the key would be claimed before the future is polled; \
             write it as an `async fn`",
        ),
        Some(output) => check_type(output, errors),
    }
}

/// Reports a type that no handler or block can return.
fn check_type(output: &Type, errors: &mut Errors) {
    match output {
        unit if is_unit(unit) => {
            errors.at(unit, format!("this handler returns nothing, {WRITE_RESULT}"));
        }
        never @ Type::Never(_) => errors.at(never, format!("this handler never returns, {WRITE_RESULT}")),
        output => match opaque(output) {
            Some(opaque) => errors.at(
                opaque,
                "an idempotent handler can't return `impl Trait`: a result is recorded and read again, so name its type, \
                 such as `Result<Receipt, E>`",
            ),
            None => check_borrowed(output, errors),
        },
    }
}

fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// Whether the type is a future, as far as its text tells. An alias of one isn't recognised.
fn is_future(ty: &Type) -> bool {
    let names_future = |bounds: &syn::punctuated::Punctuated<TypeParamBound, syn::Token![+]>| {
        bounds.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => bound
                .path
                .segments
                .last()
                .is_some_and(|segment| segment.ident == "Future" || segment.ident == "IntoFuture"),
            _ => false,
        })
    };
    match ungroup(ty) {
        Type::ImplTrait(opaque) => names_future(&opaque.bounds),
        Type::TraitObject(object) => names_future(&object.bounds),
        Type::Path(path) => path.path.segments.last().is_some_and(|segment| match segment.ident.to_string().as_str() {
            "BoxFuture" | "LocalBoxFuture" => true,
            "Pin" | "Box" => first_argument(&segment.arguments).is_some_and(is_future),
            _ => false,
        }),
        _ => false,
    }
}

fn first_argument(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Reports a reference in the `T` of a `Result<T, E>`.
fn check_borrowed(output: &Type, errors: &mut Errors) {
    struct Reference<'ast>(Option<&'ast Type>);
    impl<'ast> Visit<'ast> for Reference<'ast> {
        fn visit_type(&mut self, ty: &'ast Type) {
            match ty {
                Type::Reference(_) => self.0 = self.0.or(Some(ty)),
                Type::FnPtr(_) => {}
                ty => syn::visit::visit_type(self, ty),
            }
        }
    }
    let Type::Path(path) = output else { return };
    let Some(result) = path.path.segments.last().filter(|segment| segment.ident == "Result") else { return };
    let Some(value) = first_argument(&result.arguments) else { return };
    let mut reference = Reference(None);
    reference.visit_type(value);
    if let Some(reference) = reference.0 {
        errors.at(
            reference,
            "the result of an idempotent handler can't hold a reference: it is recorded, and replayed when the arguments \
             are gone; return an owned type, such as `String` instead of `&str`",
        );
    }
}

/// Stands in the scope that is suggested for a method, as the attribute can't see the type that the method belongs to.
const TYPE: &str = "TYPE";

fn check_scope(args: &Args, function: &Function, errors: &mut Errors) {
    if let Some(Scope::Text(text)) = &args.scope
        && text.value().split('/').any(|part| part == TYPE)
    {
        errors.at(text, format!("the scope still holds `{TYPE}`: write the name of the type that has this method"));
    }
    if args.was_given("scope") {
        return;
    }
    let sig = &function.sig;
    let name = sig.ident.unraw();
    let why = "the keys of different handlers would be taken for each other";
    if let Some(receiver) = sig.receiver() {
        let what = "a method has to name the scope of its keys, as other types can have a method of the same name and";
        let example = format!("add `scope = \"{TYPE}/{name}\"`, with the name of the type for `{TYPE}`");
        return errors.at(receiver, format!("{what} {why}: {example}"));
    }
    let example = format!("add `scope = \"{name}\"`");
    for parameter in &sig.generics.params {
        let (GenericParam::Type(_) | GenericParam::Const(_)) = parameter else { continue };
        return errors.at(parameter, generic("a generic function", why, &example));
    }
    for parameter in function.parameters() {
        if let Some(opaque) = opaque(&parameter.ty) {
            return errors.at(opaque, generic("a function with an `impl Trait` parameter", why, &example));
        }
    }
}

/// Reports a scope that names a parameter or a type parameter. The scope is in a `static`, which can use neither.
fn check_scope_path(path: &ExprPath, parameters: &BTreeSet<String>, generics: &Generics, errors: &mut Errors) {
    let Some(first) = path.path.segments.first().filter(|_| path.qself.is_none()) else { return };
    let name = first.ident.unraw().to_string();
    let is_type = |parameter: &GenericParam| match parameter {
        GenericParam::Type(parameter) => parameter.ident == first.ident,
        GenericParam::Const(parameter) => parameter.ident == first.ident,
        GenericParam::Lifetime(_) => false,
    };
    if parameters.contains(&name) && path.path.segments.len() == 1 {
        errors.at(
            path,
            format!(
                "`{name}` is a parameter, and a scope is the same for all calls of a handler: name a `const` of type \
                 `&'static str`, and put what varies into the key"
            ),
        );
    } else if name == "Self" || generics.params.iter().any(is_type) {
        errors.at(
            path,
            format!(
                "`{name}` can't be part of a scope, which is the same for all types that it can stand for: name the type that \
                 has the constant, such as `Orders::SCOPE`, or a constant of the module"
            ),
        );
    }
}

fn generic(what: &str, why: &str, example: &str) -> String {
    format!(
        "{what} has to name the scope of its keys, as it stands for one handler per type and {why} otherwise: {example}; if \
         the types must not share their keys, put a name for the type into the key"
    )
}

/// The first `impl Trait` in a type.
fn opaque(ty: &Type) -> Option<&TypeImplTrait> {
    struct Opaque<'ast>(Option<&'ast TypeImplTrait>);
    impl<'ast> Visit<'ast> for Opaque<'ast> {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            self.0 = self.0.or(Some(ty));
        }
    }
    let mut opaque = Opaque(None);
    opaque.visit_type(ty);
    opaque.0
}

fn check_durations(args: &Args, errors: &mut Errors) {
    let week = Length { nanos: 7 * 86_400_000_000_000, text: "7d".to_owned(), span: Span::call_site() };
    for (name, length) in [("ttl", &args.ttl), ("lease", &args.lease)] {
        if let Some(length) = length
            && length.nanos == 0
        {
            let example = if name == "ttl" { "7d" } else { "60s" };
            errors.at_span(
                length.span,
                format!("`{name}` can't be zero: write a duration such as `{name} = \"{example}\"`"),
            );
        }
    }
    let Some(lease) = args.lease.as_ref().filter(|_| !args.in_transaction()) else { return };
    if args.ttl.is_none() && args.was_given("ttl") {
        return;
    }
    let ttl = args.ttl.as_ref().unwrap_or(&week);
    if lease.nanos > ttl.nanos && ttl.nanos > 0 {
        errors.at_span(
            lease.span,
            format!(
                "the lease ({}) is longer than the ttl ({}): a completed key would be forgotten before a duplicate that \
                 waits for it could learn of it; the lease is how long a holder may be silent, and is renewed while the \
                 handler runs",
                lease.text, ttl.text
            ),
        );
    }
}

/// Reports a part of a key that is a parameter of type `f32` or `f64`.
fn check_floats(exprs: &[Expr], function: &Function, errors: &mut Errors) {
    for expr in exprs {
        let Some(used) = behind_references(expr) else { continue };
        let is_float = function.parameters().any(|parameter| {
            let named = matches!(&*parameter.pat, syn::Pat::Ident(pattern) if pattern.ident == *used);
            named && float(&parameter.ty)
        });
        if is_float {
            errors.at(
                used,
                format!(
                    "`{used}` is a float, which can't be a key: equal amounts can differ in their last bit; use an integer \
                     (cents instead of euros), or `{used}.to_bits()`"
                ),
            );
        }
    }
}

fn behind_references(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Reference(reference) => behind_references(&reference.expr),
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Deref(_)) => behind_references(&unary.expr),
        expr => name(expr),
    }
}

fn float(ty: &Type) -> bool {
    match ungroup(ty) {
        Type::Reference(reference) => float(&reference.elem),
        Type::Path(path) => path.path.is_ident("f32") || path.path.is_ident("f64"),
        _ => false,
    }
}
