//! Any text as the arguments of the attribute, and as what it stands on: it never panics, and a function stays one. The same
//! arguments are given to `run_once!`.

use proc_macro2::{TokenStream, TokenTree};

/// Between the arguments and the item.
const BETWEEN: &str = "\n";

/// How deep brackets are nested at most. The parser of `syn` calls itself for each, and so does the compiler's.
const DEEPEST: usize = 32;

pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (args, item) =
        text.split_once(BETWEEN).unwrap_or((text, "fn handle(id: u32) -> Result<u32, Error> { Ok(id) }"));
    let (Ok(args), Ok(item)) = (args.parse::<TokenStream>(), item.parse::<TokenStream>()) else { return };
    if depth(&args).max(depth(&item)) > DEEPEST {
        return;
    }
    assert!(!idem_attribute::block(args.clone()).is_empty());
    let output = idem_attribute::attribute(args, &item);
    assert!(!output.is_empty());
    // Beside the function there may be errors: calls of `compile_error!`, which are items too.
    if syn::parse2::<syn::ItemFn>(item).is_ok() {
        let parsed = syn::parse2::<syn::File>(output.clone());
        assert!(parsed.is_ok(), "{:?}: {output}", parsed.err());
    }
}

fn depth(tokens: &TokenStream) -> usize {
    let inner = |token: TokenTree| match token {
        TokenTree::Group(group) => 1 + depth(&group.stream()),
        _ => 0,
    };
    tokens.clone().into_iter().map(inner).max().unwrap_or_default()
}
