//! The cases of tests/ui that pass: each is a module, so that one program compiles them all.

#[path = "../../ui/pass/blocks.rs"]
mod blocks;
#[path = "../../ui/pass/closures.rs"]
mod closures;
#[path = "../../ui/pass/forbidden-lints.rs"]
mod forbidden_lints;
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
fn each_case_that_passes_is_compiled() {
    let this = include_str!("cases.rs");
    for case in std::fs::read_dir("ui/pass").unwrap() {
        let name = case.unwrap().file_name().into_string().unwrap();
        assert!(this.contains(&format!("#[path = \"../../ui/pass/{name}\"]\n")), "{name} is no module of this file");
    }
}
