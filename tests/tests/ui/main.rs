//! What the attribute refuses, in which words, and what it takes.
//!
//! The cases that pass are modules of this program. trybuild checks the others all at once where none of its cases has to run.

#[path = "../../ui/pass/blocks.rs"]
mod blocks;
#[path = "../../ui/pass/closures.rs"]
mod closures;
#[path = "../../ui/pass/not-send.rs"]
mod not_send;
#[path = "../../ui/pass/quiet.rs"]
#[rustfmt::skip]
mod quiet;
#[path = "../../ui/pass/renamed-crate.rs"]
mod renamed_crate;
#[path = "../../ui/pass/stores.rs"]
mod stores;
#[path = "../../ui/pass/tx.rs"]
#[rustfmt::skip]
mod tx;

#[test]
fn what_is_refused() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}

#[test]
fn each_case_that_passes_is_compiled() {
    let this = include_str!("main.rs");
    for case in std::fs::read_dir("ui/pass").expect("the cases") {
        let name = case.expect("a case").file_name().into_string().expect("a readable name");
        assert!(this.contains(&format!("#[path = \"../../ui/pass/{name}\"]\n")), "{name} is no module of this file");
    }
}
