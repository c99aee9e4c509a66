//! The `#[idempotent]` attribute of `idem-runtime`, which re-exports it: depend on that crate, not on this one.

mod args;
mod check;
mod duration;
mod errors;
mod expand;
mod hidden;
mod item;
mod key;
mod suggest;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

/// Makes a handler idempotent.
#[proc_macro_attribute]
pub fn idempotent(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rewrite(args.into(), &item.into()).into()
}

/// After a mistake, the item is emitted as it was, beside the errors: nothing else breaks.
fn rewrite(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = errors::Errors::default();
    let args = args::Args::parse(args, &mut errors);
    let function = match syn::parse2::<item::Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = check::not_a_function(item, error).into_compile_error();
            return quote::quote!(#error #item);
        }
    };
    let hidden = hidden::Hidden::find(&function);
    check::check(&args, &function, hidden.as_ref(), &mut errors);
    match errors.into_tokens() {
        None => expand::expand(&args, function, hidden.as_ref()),
        Some(errors) => {
            let item = expand::untouched(&args, &function);
            quote::quote!(#errors #item)
        }
    }
}
