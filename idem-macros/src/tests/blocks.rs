//! `run_once!` on token streams.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{ParseStream, Parser as _};

use super::one;
use crate::args::Args;
use crate::block::Block;
use crate::check;
use crate::errors::Errors;

/// What is said of these arguments and their block.
fn mistakes(tokens: TokenStream) -> Vec<String> {
    let mut errors = Errors::default();
    let parse = |input: ParseStream<'_>| Ok((Args::before_block(input, &mut errors)?, Block::parse(input)?));
    match parse.parse2(tokens) {
        Ok((args, block)) => {
            check::block::check(&args, &block, &mut errors);
        }
        Err(error) => errors.push(error),
    }
    errors.messages()
}

#[test]
fn each_form_of_the_block_is_taken() {
    for block in [
        quote!(async { BODY }),
        quote!(async move { BODY },),
        quote!(async || { BODY }),
        quote!(async || -> Result<T, E> { BODY }),
        quote!(async move || -> Result<T, E> { BODY }),
        quote!(|| { BODY }),
        quote!(|| charge(&order)),
        quote!(move || -> Result<T, E> { BODY }),
        quote!(async { let half = order. }),
    ] {
        assert_eq!(mistakes(quote!(key = id, scope = "s", #block)), [""; 0], "{block}");
        let output = crate::once(quote!(key = id, scope = "s", #block)).to_string();
        assert!(!output.contains("compile_error"), "{output}");
    }
}

#[test]
fn anything_else_is_no_block() {
    let mistakes = |block: TokenStream| mistakes(quote!(key = id, scope = "s", #block));
    one(&mistakes(quote!({ BODY })), &["write `async { .. }`, or `|| { .. }`"]);
    one(&mistakes(quote!(|order| { BODY })), &["takes no arguments", "`claim = c`"]);
    one(&mistakes(quote!(async move |c: &Claim| { BODY })), &["takes no arguments"]);
    one(&mistakes(quote!(async { BODY }, wait = "1s")), &["the block is the last argument"]);
    one(&mistakes(quote!(async { BODY }.await)), &["the block is the last argument"]);
}

#[test]
fn a_block_needs_a_key_and_a_scope() {
    one(&mistakes(quote!(scope = "s", async {})), &["`run_once!` needs a key"]);
    one(&mistakes(quote!(key = id, async {})), &["has to name the scope", "no other handler has"]);
    one(&mistakes(quote!(key = id, scope = Self::SCOPE, async {})), &["`Self` can't be part of a scope"]);
    one(&mistakes(quote!(key = id, scope = "s", on_crash = find_out, || {})), &["needs an `async` block"]);
    one(&mistakes(quote!(key = id, scope = "s", || -> () {})), &["returns nothing"]);
    assert_eq!(mistakes(quote!(key = *made.in_the(body), scope = SCOPE, async {})), [""; 0]);
    let both = mistakes(quote!(async {}));
    assert_eq!(both.len(), 2, "{both:#?}");
}

#[test]
fn the_transaction_is_a_reference_to_a_place() {
    for reference in [quote!(&mut tx), quote!(&tx), quote!(&mut *tx), quote!(&mut self.unit.tx), quote!("&mut *c")] {
        assert_eq!(mistakes(quote!(tx = #reference, key = id, scope = "s", async {})), [""; 0], "{reference}");
    }
    for other in [quote!(tx), quote!("tx"), quote!(&mut begin()), quote!(pool.begin()), quote!(&mut {})] {
        one(&mistakes(quote!(tx = #other, key = id, scope = "s", async {})), &["`tx` needs a reference"]);
    }
    let moved = |block: TokenStream| mistakes(quote!(tx = &mut self.tx, key = id, scope = "s", #block));
    one(&moved(quote!(async move { self.tx.execute() })), &["`async move` takes `self` away", "leave `move` out"]);
    one(&moved(quote!(move || self.tx.execute())), &["`move` takes `self` away"]);
    assert_eq!(moved(quote!(async move { order.id })), [""; 0]);
    one(&mistakes(quote!(tx = &tx, key = id, scope = "s", wait = "1s", || {})), &["`wait` can't be given with `tx`"]);
}

#[test]
fn only_what_leaves_the_block_is_refused() {
    let mistakes = |body: TokenStream| mistakes(quote!(key = id, scope = "s", async { #body }));
    one(&mistakes(quote!(break;)), &["a `break` can't leave the block", "`?` and `return` end the block"]);
    one(
        &mistakes(quote!(if a {
            continue;
        })),
        &["a `continue` can't leave the block"],
    );
    one(
        &mistakes(quote!(loop {
            break 'outer;
        })),
        &["a `break` can't"],
    );
    one(&mistakes(quote!('named: { break })), &["a `break` can't"]);
    for stays in [
        quote!(loop {
            break;
        }),
        quote!('all: for a in b {
            loop {
                continue 'all;
            }
        }),
        quote!('named: { break 'named 1 }),
        quote!(while a {
            if b {
                break;
            }
        }),
        quote!(let done = || loop { break };),
        quote!(
            fn inner() {
                loop {
                    break;
                }
            }
        ),
    ] {
        assert_eq!(mistakes(stays.clone()), [""; 0], "{stays}");
    }
}

#[test]
fn after_a_mistake_the_block_is_still_there() {
    let output = crate::once(quote!(key = id, claim = c, async {
        let x = c.fence();
    }))
    .to_string();
    assert!(output.contains("compile_error") && output.contains("let x = c . fence ()"), "{output}");
    let output = crate::once(quote!(key = id, scope = "s", async { break })).to_string();
    assert!(!output.contains("let _"), "the compiler would report it again: {output}");
    for half in
        [quote!(), quote!(key), quote!(key =), quote!(key = order.), quote!(key = id, as), quote!(key = id, async)]
    {
        let output = crate::once(half).to_string();
        assert!(output.contains("compile_error"), "{output}");
    }
}
