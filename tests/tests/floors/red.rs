//! Each way of writing an import is seen, and what may be written is let through.

use std::collections::BTreeMap;

use crate::circles::circles;
use crate::rules::broken;
use crate::tree::Tree;

/// A crate in which `store`, `store::inner` or `protocol` says this besides.
fn with(file: &'static str, says: &str) -> Tree {
    let texts = [
        (
            "lib.rs",
            "extern crate self as idem_runtime; pub mod protocol; mod store; mod engine; mod error; mod task;
             pub use self::engine::Call; pub use self::protocol::Key; pub use idem_macros::idempotent; pub struct Front;
             pub mod admin { pub use crate::engine::call::Late; }",
        ),
        ("protocol.rs", "pub struct Key;"),
        ("task.rs", "pub struct Timer;"),
        ("error.rs", "pub struct Error;"),
        ("store.rs", "pub mod inner; pub mod memory; pub trait Store {}"),
        ("store/inner.rs", "pub struct Inner;"),
        ("store/memory.rs", "pub struct Memory;"),
        ("engine.rs", "pub mod call; pub use self::call::Call; pub fn run() {}"),
        ("engine/call.rs", "pub struct Call; pub struct Late;"),
    ];
    let mut texts: BTreeMap<_, _> = texts.map(|(file, text)| (file, text.to_owned())).into();
    let before = texts.get_mut(file).unwrap();
    *before = format!("{before}\n{says}");
    Tree::of_texts("idem_runtime", &texts)
}

#[track_caller]
fn red(file: &'static str, says: &str, path: &str, why: &str) {
    let broken = broken(&with(file, says));
    let line = format!(":2: `{path}`: ");
    let right = |broken: &String| broken.starts_with(file) && broken.contains(&line) && broken.contains(why);
    assert!(broken.iter().any(right), "{file} says {says}, which is not told, but {broken:#?}");
}

#[track_caller]
fn green(file: &'static str, says: &str) {
    let broken = broken(&with(file, says));
    assert!(broken.is_empty(), "{file} says {says}: {broken:#?}");
}

const UP: &str = "it leads to `engine`, which `store` may not import: a room imports only rooms that stand earlier in protocol, \
                  codec, task, error, store, handler, engine, tx, testing, conformance, private (ARCHITECTURE.md, \"Floors\")";

#[test]
fn each_way_of_writing_an_import_is_seen() {
    for (says, path) in [
        ("use crate::engine::run;", "crate::engine::run"),
        ("use crate::engine;", "crate::engine"),
        ("use crate::engine::{self, run};", "crate::engine"),
        ("use crate::{protocol::Key, engine::{call::{Late}}};", "crate::engine::call::Late"),
        ("use super::super::engine::run;", "super::super::engine::run"),
        ("use crate::engine::run as ran;", "crate::engine::run"),
        ("use crate::engine as below;", "crate::engine"),
        ("use crate::engine::*;", "crate::engine::*"),
        ("pub use crate::engine::run;", "crate::engine::run"),
        ("pub(crate) use crate::engine::run;", "crate::engine::run"),
        ("#[cfg(feature = \"a\")] use crate::engine::run;", "crate::engine::run"),
        ("#[cfg(any(test, feature = \"a\"))] use crate::engine::run;", "crate::engine::run"),
        ("struct A(crate::engine::Call);", "crate::engine::Call"),
        ("fn a(_: &[Option<crate::engine::Call>]) {}", "crate::engine::Call"),
        ("impl crate::engine::Call {}", "crate::engine::Call"),
        ("fn a<T>() where T: crate::engine::Calls {}", "crate::engine::Calls"),
        ("fn a() { crate::engine::run(); }", "crate::engine::run"),
        ("fn a() { use crate::engine::run; }", "crate::engine::run"),
        ("fn a() { if let crate::engine::Call = b() {} }", "crate::engine::Call"),
        ("fn a() { crate::engine::run!(); }", "crate::engine::run"),
        ("fn a() { assert!(b, crate::engine::run()); }", "crate::engine::run"),
        ("fn a() { b! { c => { use crate::{engine::run}; } } }", "crate::engine::run"),
        ("macro_rules! a { () => { $crate::engine::run() } }", "crate::engine::run"),
        ("#[a(with = crate::engine::run)] struct B;", "crate::engine::run"),
        ("#[crate::engine::run] struct B;", "crate::engine::run"),
        ("mod a { fn b() { crate::engine::run() } }", "crate::engine::run"),
        // By names of lib.rs.
        ("use crate::Call;", "crate::Call"),
        ("use idem_runtime::Call;", "idem_runtime::Call"),
        ("use ::idem_runtime::engine::run;", "idem_runtime::engine::run"),
        ("use crate::admin::Late;", "crate::admin::Late"),
        ("fn a() { idem_runtime::admin::Late; }", "idem_runtime::admin::Late"),
    ] {
        red("store/inner.rs", says, path, UP);
    }
    for (says, path) in [
        ("use super::engine::run;", "super::engine::run"),
        ("use self::super::engine::run;", "self::super::engine::run"),
        ("use super::Call;", "super::Call"),
    ] {
        red("store.rs", says, path, UP);
    }
}

/// What a module imports under another name is found behind that name.
#[test]
fn an_import_is_followed_where_its_name_is_used() {
    red("protocol.rs", "use std::time; fn a() { time::Instant::now(); }", "time::Instant::now", "knows no clock");
    red("store/inner.rs", "use crate as root; fn a() { root::engine::run(); }", "root::engine::run", UP);
    red("store/inner.rs", "use super::super as root; struct A(root::Call);", "root::Call", UP);
    red("engine.rs", "use crate::store; struct A(store::memory::Memory);", "store::memory::Memory", "names no store");
}

#[test]
fn each_rule_says_what_it_forbids() {
    red(
        "error.rs",
        "use crate::task::Timer;",
        "crate::task::Timer",
        "`error` imports no `task`, although it stands earlier",
    );
    red(
        "task.rs",
        "use crate::error::Error;",
        "crate::error::Error",
        "it leads to `error`, which `task` may not import",
    );
    red("store/inner.rs", "use crate::Front;", "crate::Front", "it leads to what lib.rs defines");
    red("store.rs", "use super::*;", "super::*", "it leads to what lib.rs defines, or to lib.rs as a whole");
    red("store.rs", "use crate::idempotent;", "crate::idempotent", "only lib.rs imports `idem_macros`");
    red(
        "engine/call.rs",
        "use crate::store::memory::Memory;",
        "crate::store::memory::Memory",
        "the engine names no store",
    );
    for (says, path) in [
        ("use std::time::{Duration, Instant};", "std::time::Instant"),
        ("fn a() { core::time::SystemTime::now(); }", "core::time::SystemTime::now"),
        ("use std::time::*;", "std::time::*"),
        ("#[derive(serde::Serialize)] struct A;", "serde::Serialize"),
        ("fn a() { getrandom::fill(b); }", "getrandom::fill"),
    ] {
        red("protocol.rs", says, path, "`protocol` knows no clock, no serde and no randomness");
    }
    let mut texts = BTreeMap::from([("lib.rs", "mod rooms;".to_owned()), ("rooms.rs", String::new())]);
    let told = broken(&Tree::of_texts("idem_runtime", &texts));
    assert!(told[0].starts_with("rooms.rs: `rooms` is not in the list of the floors: protocol, codec"), "{told:?}");
    texts.insert("lib.rs", "#[cfg(test)] mod rooms;".to_owned());
    assert_eq!(broken(&Tree::of_texts("idem_runtime", &texts)), [""; 0]);
}

#[test]
fn what_may_be_written_is_let_through() {
    for says in [
        "use crate::Key; use crate::protocol::{self, Key as K}; use super::{Store, memory::Memory}; use self::a::B; mod a {}",
        "pub(in crate::store) fn a() {}",
        "#[cfg(test)] mod tests { use crate::engine::run; }",
        "#[cfg(test)] use crate::engine::run;",
        "#[cfg(all(test, feature = \"a\"))] fn a() { crate::engine::run(); }",
        "#[test] fn a() { crate::engine::run(); }",
        "impl Inner { #[cfg(test)] fn a() { crate::engine::run(); } }",
        "/// See [`run`](crate::engine::run).\nfn a() { println!(\"crate::engine::run\"); }",
        "use serde::Serialize; use std::time::Instant; use engine::run;",
    ] {
        green("store/inner.rs", says);
    }
    green("engine/call.rs", "use crate::store::Store; use super::run; use crate::task::Timer;");
    green("protocol.rs", "use std::time::Duration;");
}

#[test]
fn a_circle_is_told_with_the_lines_that_make_it() {
    assert_eq!(circles(&with("store/inner.rs", "use super::memory::Memory;")), [""; 0]);
    let mut tree = with("store/inner.rs", "use super::memory::Memory;");
    let other = with("store/memory.rs", "fn a(_: crate::store::inner::Inner) {}");
    let memory = vec!["store".to_owned(), "memory".to_owned()];
    tree.modules.extend(other.modules.into_iter().filter(|(place, _)| *place == memory));
    let told = circles(&tree).join("\n");
    for part in [
        "among the modules of `crate::store`:\n",
        "inner -> memory, store/inner.rs:2: `super::memory::Memory`",
        "memory -> inner, store/memory.rs:2: `crate::store::inner::Inner`",
    ] {
        assert!(told.contains(part), "{told}");
    }
}
