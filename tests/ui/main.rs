//! What the attribute refuses, and in which words. The cases that pass are modules of another program, `shapes`.

#[test]
fn what_is_refused() {
    trybuild::TestCases::new().compile_fail("fail/*.rs");
}
