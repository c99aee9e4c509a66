//! The `#[idempotent]` attribute of `idem-runtime`, which re-exports it: depend on that crate, not on this one.

/// stub
#[proc_macro_attribute]
pub fn idempotent(_args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    item
}
