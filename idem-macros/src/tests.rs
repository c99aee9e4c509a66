//! The attribute on token streams: what it reads, what it refuses, what it writes.

mod arguments;
mod blocks;
mod output;
mod refusals;

use proc_macro2::TokenStream;
use quote::quote;

use crate::args::Args;
use crate::check;
use crate::errors::Errors;
use crate::hidden::Hidden;
use crate::item::Function;

fn args(tokens: TokenStream) -> Args {
    let mut errors = Errors::default();
    let args = Args::parse(tokens, &mut errors);
    assert_eq!(errors.messages(), [""; 0]);
    args
}

/// What is said of these arguments on this function.
fn mistakes(tokens: TokenStream, function: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let args = Args::parse(tokens, &mut errors);
    let function: Function = syn::parse2(function).expect("a function");
    let hidden = Hidden::find(&function);
    check::check(&args, &function, hidden.as_ref(), &mut errors);
    errors.messages()
}

fn handler() -> TokenStream {
    quote!(
        async fn handle(order_id: &str, cents: u64) -> Result<(), Error> {
            Ok(())
        }
    )
}

/// Asserts that there is one mistake, and that it is described with each of these phrases.
#[track_caller]
fn one(mistakes: &[String], phrases: &[&str]) {
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    for phrase in phrases {
        assert!(mistakes[0].contains(phrase), "`{phrase}` is not in: {}", mistakes[0]);
    }
}
