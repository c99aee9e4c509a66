//! The arguments of the attribute and of `run_once!`, with the places where they were written.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprPath, ExprReference, Ident, LitStr, Path, Token, token};

use crate::block::{self, Block};
use crate::duration::{self, Length};
use crate::errors::Errors;
use crate::key::{self, Parts, has_placeholder};
use crate::policy::{OnCrash, OnError, error_or_run, on_crash, on_decode, on_error};
use crate::suggest::{self, list};
use crate::value::Value;

/// Every argument, in the order of the documentation.
const NAMES: [&str; 15] = [
    "key",
    "store",
    "scope",
    "ttl",
    "lease",
    "wait",
    "fingerprint",
    "on_error",
    "on_crash",
    "missing_key",
    "on_store_error",
    "tx",
    "claim",
    "on_decode",
    "crate",
];

/// What the arguments belong to.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Form {
    #[default]
    Attribute,
    /// `run_once!`.
    Block,
}

/// The arguments. An argument with a mistake is reported, and absent here.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) form: Form,
    pub(crate) key: Option<Parts>,
    pub(crate) store: Option<Expr>,
    pub(crate) scope: Option<Scope>,
    pub(crate) ttl: Option<Length>,
    pub(crate) lease: Option<Length>,
    pub(crate) wait: Option<Length>,
    pub(crate) fingerprint: Option<Parts>,
    pub(crate) on_error: OnError,
    pub(crate) on_crash: OnCrash,
    pub(crate) run_without_key: bool,
    pub(crate) run_without_store: bool,
    /// `tx` of the attribute: the parameter.
    pub(crate) tx: Option<Ident>,
    /// `tx` of `run_once!`: a reference to a variable or field.
    pub(crate) tx_reference: Option<ExprReference>,
    pub(crate) claim: Option<Ident>,
    /// The function that makes an answer of a record that can't be decoded.
    pub(crate) on_decode: Option<Path>,
    pub(crate) krate: Option<Path>,
    /// The name and the place of each argument that was given, with or without a mistake.
    given: Vec<(String, Span)>,
}

/// `scope`: a name, or the path of a `const` that holds the name.
pub(crate) enum Scope {
    Text(LitStr),
    Const(ExprPath),
}

impl Args {
    /// Reads the arguments of the attribute, and reports each mistake in them.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let parsed = (|input: ParseStream<'_>| args.read(input, |_| false, errors)).parse2(tokens);
        if let Err(error) = parsed {
            errors.push(error);
        }
        args
    }

    /// Reads the arguments of `run_once!`, up to its block.
    pub(crate) fn before_block(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Self> {
        let mut args = Self { form: Form::Block, ..Self::default() };
        args.read(input, Block::begins, errors)?;
        Ok(args)
    }

    /// Reads arguments up to the end, or to where `ends` says, and reports each mistake in them.
    fn read(
        &mut self,
        input: ParseStream<'_>,
        ends: fn(ParseStream<'_>) -> bool,
        errors: &mut Errors,
    ) -> syn::Result<()> {
        while !input.is_empty() && !ends(input) {
            if let Err(error) = self.argument(input, errors) {
                errors.push(error);
                skip_to_next(input);
            }
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                errors.push(input.error("arguments are separated by a comma"));
                skip_to_next(input);
                input.parse::<Option<Token![,]>>()?;
            }
        }
        Ok(())
    }

    /// Whether the call is in tx mode.
    pub(crate) fn in_transaction(&self) -> bool {
        self.tx.is_some() || self.tx_reference.is_some()
    }

    /// The path of `idem_runtime`.
    pub(crate) fn library(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::idem_runtime), ToTokens::to_token_stream)
    }

    /// Whether that path means the same in each module.
    pub(crate) fn library_is_absolute(&self) -> bool {
        self.krate.as_ref().is_none_or(|path| {
            let first = path.segments.first().map(|first| first.ident.to_string());
            path.leading_colon.is_some() || matches!(first.as_deref(), Some("crate" | "$crate"))
        })
    }

    /// Whether this argument was given, with or without a mistake.
    pub(crate) fn was_given(&self, name: &str) -> bool {
        self.place_of(name).is_some()
    }

    /// The place where this argument was given, with or without a mistake.
    pub(crate) fn place_of(&self, name: &str) -> Option<Span> {
        self.given.iter().find(|(given, _)| given == name).map(|(_, place)| *place)
    }

    fn argument(&mut self, input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<()> {
        if !input.peek(Ident::peek_any) {
            self.given.push(("key".to_owned(), input.span()));
            return Err(not_an_argument(input));
        }
        let ident = input.call(Ident::parse_any)?;
        let written = ident.unraw().to_string();
        if self.form == Form::Block && (input.peek(token::Paren) || input.peek(Token![::])) {
            return Err(block::missing(ident.span()));
        }
        if !NAMES.contains(&written.as_str()) {
            let similar = suggest::nearest(&written, NAMES);
            errors.at(&ident, unknown_argument(&ident, similar, input));
            // The argument that was probably meant counts as given: else it would be reported as missing too.
            self.given.extend(similar.map(|similar| (similar.to_owned(), ident.span())));
            skip_to_next(input);
            return Ok(());
        }
        if self.was_given(&written) {
            errors.at(&ident, format!("`{written}` is given twice: keep one of them"));
            skip_to_next(input);
            return Ok(());
        }
        self.given.push((written.clone(), ident.span()));
        if input.parse::<Option<Token![=]>>()?.is_none() {
            return Err(syn::Error::new(
                ident.span(),
                format!("`{written}` needs a value: write `{written} = {}`", self.example(&written)),
            ));
        }
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(
                ident.span(),
                format!("`{written}` has no value behind the `=`: write `{written} = {}`", self.example(&written)),
            ));
        }
        let value = value(&written, input)?;
        self.set(&written, value)
    }

    fn set(&mut self, name: &str, value: Value) -> syn::Result<()> {
        match name {
            "key" => self.key = Some(parts(name, value)?),
            "fingerprint" => self.fingerprint = Some(parts(name, value)?),
            "store" => self.store = Some(value.expression(name)?),
            "scope" => self.scope = Some(scope(value)?),
            "ttl" => self.ttl = Some(length(name, &value)?),
            "lease" => self.lease = Some(length(name, &value)?),
            "wait" => self.wait = Some(length(name, &value)?),
            "on_error" => self.on_error = on_error(&value)?,
            "on_crash" => self.on_crash = on_crash(&value)?,
            "missing_key" => self.run_without_key = error_or_run(name, &value)?,
            "on_store_error" => self.run_without_store = error_or_run(name, &value)?,
            "tx" if self.form == Form::Block => self.tx_reference = Some(tx_reference(value)?),
            "tx" => self.tx = Some(tx_parameter(&value)?),
            "claim" => self.claim = Some(claim(&value)?),
            "on_decode" => self.on_decode = on_decode(&value)?,
            _ => self.krate = Some(krate(&value)?),
        }
        Ok(())
    }

    fn example(&self, name: &str) -> &'static str {
        if name == "tx" && self.form == Form::Block { "&mut tx" } else { example(name) }
    }
}

fn not_an_argument(input: ParseStream<'_>) -> syn::Error {
    if input.peek(LitStr) {
        input.error("an argument has a name: for the key, write `key = \"order_id\"`")
    } else {
        input.error("expected an argument, such as `key = \"order_id\"`")
    }
}

fn unknown_argument(ident: &Ident, similar: Option<&str>, input: ParseStream<'_>) -> String {
    let valid = list(NAMES, "and");
    match similar {
        Some(similar) => format!("unknown argument `{ident}`: did you mean `{similar}`? (the arguments are {valid})"),
        // `key = tenant, order.id`: the second expression looks like an argument.
        None if !input.peek(Token![=]) => format!(
            "unknown argument `{ident}` (the arguments are {valid}); for several expressions, write a tuple, such as \
             `key = (tenant, order.id)`"
        ),
        None => format!("unknown argument `{ident}`: the arguments are {valid}"),
    }
}

fn example(name: &str) -> &'static str {
    match name {
        "key" => "\"order_id\"",
        "store" => "STORE",
        "scope" => "\"billing/charge\"",
        "ttl" => "\"7d\"",
        "lease" => "\"60s\"",
        "wait" => "\"5s\"",
        "fingerprint" => "\"amount\"",
        "on_error" => "\"release\"",
        "on_crash" => "\"rerun\"",
        "missing_key" | "on_store_error" | "on_decode" => "\"error\"",
        "tx" => "\"tx\"",
        "claim" => "claim",
        _ => "::idem_runtime",
    }
}

/// Skips to the comma behind this argument.
fn skip_to_next(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

fn value(name: &str, input: ParseStream<'_>) -> syn::Result<Value> {
    let start = input.span();
    // syn's own message names tokens. The name of the argument and an example are added, so that a newcomer can act on it.
    let expr = input.parse::<Expr>().map_err(|error| {
        syn::Error::new(
            start,
            format!("the value of `{name}` can't be read: {error}; write `{name} = {}`", example(name)),
        )
    })?;
    Ok(Value::of(expr))
}

fn parts(name: &str, value: Value) -> syn::Result<Parts> {
    match value {
        Value::Text(text) => Parts::from_text(name, &text),
        Value::Code(expr) => Parts::from_expr(name, expr),
    }
}

fn scope(value: Value) -> syn::Result<Scope> {
    match value {
        Value::Text(text) if text.value().trim().is_empty() => {
            Err(syn::Error::new(text.span(), "the scope is empty: write a name, such as `scope = \"billing/charge\"`"))
        }
        Value::Text(text) if has_placeholder(&text.value()) => Err(syn::Error::new(
            text.span(),
            "the scope is a fixed text, in which no `{}` is filled in: name the handler, such as `scope = \"billing/charge\"`, \
             and put what varies into the key, such as `key = \"tenant, order.id\"`",
        )),
        Value::Text(text) => Ok(Scope::Text(text)),
        Value::Code(Expr::Path(path)) => Ok(Scope::Const(path)),
        Value::Code(expr) => Err(syn::Error::new_spanned(
            expr,
            "the scope has to be a string in quotes, such as `scope = \"billing/charge\"`, or the path of a `const` that is \
             one: it names the keys in the store, and may not change while the program runs",
        )),
    }
}

fn length(name: &str, value: &Value) -> syn::Result<Length> {
    match value {
        Value::Text(text) => duration::parse(name, text),
        Value::Code(Expr::Lit(literal)) => {
            let written = literal.to_token_stream().to_string();
            let meant =
                if written.ends_with(|c: char| c.is_ascii_digit()) { format!("{written}s") } else { written.clone() };
            Err(syn::Error::new(
                literal.span(),
                format!(
                    "a duration is a string with a unit: instead of `{name} = {written}`, write `{name} = \"{meant}\"`"
                ),
            ))
        }
        Value::Code(expr) => Err(syn::Error::new_spanned(
            expr,
            format!("a duration is a string with a unit, such as `{name} = {}`", example(name)),
        )),
    }
}

/// The value of the attribute's `tx`.
fn tx_parameter(value: &Value) -> syn::Result<Ident> {
    value.variable(
        "`tx` needs the name of the parameter that is the transaction, such as `tx = \"tx\"`: a reference to it, and no \
         expression",
    )
}

/// The value of `tx` in `run_once!`.
fn tx_reference(value: Value) -> syn::Result<ExprReference> {
    let written = value.to_token_stream();
    match value.expression("tx") {
        Ok(Expr::Reference(reference)) if key::root(&reference.expr).is_some() => Ok(reference),
        _ => Err(syn::Error::new_spanned(
            written,
            "`tx` needs a reference to the variable or field that is the transaction, written as one: `tx = &mut tx`, \
             `tx = &mut *tx` where `tx` is a reference itself, or `tx = &tx` where its driver needs no `&mut`",
        )),
    }
}

fn claim(value: &Value) -> syn::Result<Ident> {
    value.variable(
        "`claim` needs the name of a new variable, such as `claim = claim`: the body then finds its `&Claim` under it",
    )
}

fn krate(value: &Value) -> syn::Result<Path> {
    let path = match value {
        Value::Text(text) => text.parse::<Path>().ok(),
        Value::Code(Expr::Path(path)) if path.qself.is_none() => Some(path.path.clone()),
        Value::Code(_) => None,
    };
    path.ok_or_else(|| {
        syn::Error::new_spanned(
            value,
            "`crate` needs the path of `idem_runtime`, such as `crate = ::my_crate::idem_runtime`: leave it out where the \
             dependency has its own name",
        )
    })
}
