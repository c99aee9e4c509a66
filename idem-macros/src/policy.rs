//! `on_error`, `on_crash`, `on_decode`, `missing_key` and `on_store_error`. The value of each is a keyword in quotes, or the path
//! of a function that the user wrote.

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprClosure, Path};

use crate::key::{self, ungroup};
use crate::suggest;
use crate::value::Value;

/// `on_error`.
#[derive(Default)]
pub(crate) enum OnError {
    #[default]
    Release,
    Keep,
    /// `"record"`, and the place where it was written.
    Record(Span),
    RecordIf(Path),
    Decide(Path),
}

/// `on_crash`.
#[derive(Default)]
pub(crate) enum OnCrash {
    #[default]
    Rerun,
    Park,
    Path(Path),
    Closure(ExprClosure),
}

impl OnCrash {
    /// The place where the function is named, if a function decides.
    pub(crate) fn function(&self) -> Option<Span> {
        match self {
            Self::Path(path) => Some(path.span()),
            Self::Closure(closure) => Some(closure.span()),
            Self::Rerun | Self::Park => None,
        }
    }
}

/// `missing_key` and `on_store_error`: whether the handler runs without protection.
pub(crate) fn error_or_run(name: &str, value: &Value) -> syn::Result<bool> {
    let word = match value {
        Value::Text(text) => text.value(),
        Value::Code(_) => String::new(),
    };
    match word.as_str() {
        "error" => Ok(false),
        "run" => Ok(true),
        word => {
            let similar = suggest::nearest(word, ["error", "run"]);
            Err(syn::Error::new_spanned(value, unknown_value(name, similar, "`\"error\"` or `\"run\"`")))
        }
    }
}

fn unknown_value(name: &str, similar: Option<&str>, valid: &str) -> String {
    match similar {
        Some(similar) => format!("unknown value of `{name}`: did you mean \"{similar}\"? (write {valid})"),
        None => format!("unknown value of `{name}`: write {valid}"),
    }
}

const ON_ERROR: [&str; 3] = ["release", "keep", "record"];
const ON_ERROR_VALID: &str = "`\"release\"`, `\"keep\"`, `\"record\"`, `record_if(function)`, or the path of a function `fn(&E) -> OnError`, without \
     quotes";
const ON_CRASH: [&str; 2] = ["rerun", "park"];
const ON_CRASH_VALID: &str = "`\"rerun\"`, `\"park\"`, or the path of an `async fn(&Claim) -> Result<Option<T>, E>` or an async closure, without \
     quotes";

const ON_DECODE: [&str; 1] = ["error"];
const ON_DECODE_VALID: &str =
    "`\"error\"`, or the path of a function `fn(&DecodeError) -> Result<T, E>`, without quotes";

/// Words that other tools have as settings. In quotes such a word is reported as an unknown value: it is more likely a mistaken
/// setting than the name of a function.
const SETTINGS_ELSEWHERE: [&str; 22] = [
    "abort", "cache", "continue", "delete", "drop", "error", "fail", "false", "forget", "free", "hold", "ignore",
    "none", "refuse", "replay", "restart", "resume", "retry", "run", "skip", "store", "true",
];

/// The value of a policy: a keyword, or code that names a function.
enum Setting {
    Keyword(&'static str),
    Code(Expr),
}

fn setting(name: &str, value: &Value, keywords: &'static [&'static str], valid: &str) -> syn::Result<Setting> {
    match value {
        Value::Text(text) => {
            let written = text.value();
            if let Some(keyword) = keywords.iter().find(|keyword| **keyword == written) {
                return Ok(Setting::Keyword(keyword));
            }
            let similar = suggest::nearest(&written, keywords.iter().copied());
            let code = text.parse::<Expr>();
            match code {
                Ok(code) if similar.is_none() && !SETTINGS_ELSEWHERE.contains(&written.as_str()) => {
                    Ok(Setting::Code(ungroup(code)))
                }
                _ => Err(syn::Error::new(text.span(), unknown_value(name, similar, valid))),
            }
        }
        Value::Code(code) => {
            let keyword = key::name(code).and_then(|word| keywords.iter().find(|keyword| word == **keyword));
            match keyword {
                Some(keyword) => Err(syn::Error::new_spanned(
                    code,
                    format!(
                        "`{name} = {keyword}` names a function: for the setting, write `{name} = \"{keyword}\"`; for a \
                         function of that name, write `self::{keyword}`"
                    ),
                )),
                None => Ok(Setting::Code(code.clone())),
            }
        }
    }
}

/// `on_error`.
pub(crate) fn on_error(value: &Value) -> syn::Result<OnError> {
    match setting("on_error", value, &ON_ERROR, ON_ERROR_VALID)? {
        Setting::Keyword("keep") => Ok(OnError::Keep),
        Setting::Keyword("record") => Ok(OnError::Record(value.span())),
        Setting::Keyword(_) => Ok(OnError::Release),
        Setting::Code(Expr::Path(path)) if path.path.is_ident("record_if") => Err(syn::Error::new_spanned(
            value,
            "`record_if` needs a function: write `record_if(is_final)`, where \
                                                `fn is_final(error: &E) -> bool`",
        )),
        Setting::Code(Expr::Path(path)) if path.qself.is_none() => Ok(OnError::Decide(path.path)),
        Setting::Code(Expr::Call(call)) => record_if(value, call),
        Setting::Code(_) => Err(syn::Error::new_spanned(value, unknown_value("on_error", None, ON_ERROR_VALID))),
    }
}

/// `record_if(function)`.
fn record_if(value: &Value, call: syn::ExprCall) -> syn::Result<OnError> {
    let wrong = |similar| Err(syn::Error::new_spanned(value, unknown_value("on_error", similar, ON_ERROR_VALID)));
    let Some(function) = key::name(&call.func) else { return wrong(None) };
    if function != "record_if" {
        return wrong(suggest::nearest(&function.to_string(), ["record_if"]));
    }
    let mut arguments = call.args.into_iter().map(ungroup);
    match (arguments.next(), arguments.next()) {
        (Some(Expr::Path(path)), None) if path.qself.is_none() => Ok(OnError::RecordIf(path.path)),
        _ => Err(syn::Error::new_spanned(
            value,
            "`record_if` takes the path of one function: write `record_if(is_final)`, where `fn is_final(error: &E) -> bool`",
        )),
    }
}

/// `on_crash`.
pub(crate) fn on_crash(value: &Value) -> syn::Result<OnCrash> {
    match setting("on_crash", value, &ON_CRASH, ON_CRASH_VALID)? {
        Setting::Keyword("park") => Ok(OnCrash::Park),
        Setting::Keyword(_) => Ok(OnCrash::Rerun),
        Setting::Code(Expr::Path(path)) if path.qself.is_none() => Ok(OnCrash::Path(path.path)),
        Setting::Code(Expr::Closure(closure)) if is_async(&closure) => Ok(OnCrash::Closure(closure)),
        Setting::Code(Expr::Closure(closure)) => Err(syn::Error::new_spanned(
            closure.inputs_begin,
            "`on_crash` needs an async closure: write `async |claim| ...`, which returns a `Result<Option<T>, E>`",
        )),
        Setting::Code(_) => Err(syn::Error::new_spanned(value, unknown_value("on_crash", None, ON_CRASH_VALID))),
    }
}

/// `on_decode`: the function, or `None` for `"error"`.
pub(crate) fn on_decode(value: &Value) -> syn::Result<Option<Path>> {
    match setting("on_decode", value, &ON_DECODE, ON_DECODE_VALID)? {
        Setting::Keyword(_) => Ok(None),
        Setting::Code(Expr::Path(path)) if path.qself.is_none() => Ok(Some(path.path)),
        Setting::Code(_) => Err(syn::Error::new_spanned(value, unknown_value("on_decode", None, ON_DECODE_VALID))),
    }
}

/// Whether a closure is accepted as one that returns a future. A closure that isn't `async` itself needs the type of its
/// parameter written out: otherwise the compiler doesn't infer that the future may borrow the claim.
fn is_async(closure: &ExprClosure) -> bool {
    let typed = closure.inputs.iter().all(|input| matches!(input, syn::Pat::Type(_)));
    let returns_result = match ungroup((*closure.body).clone()) {
        Expr::Call(call) => key::name(&call.func).is_some_and(|function| function == "Ok" || function == "Err"),
        _ => false,
    };
    closure.asyncness.is_some() || (typed && !returns_result)
}
