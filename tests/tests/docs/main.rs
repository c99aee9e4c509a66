//! What README and book show is compiled: each part of it is in a file of the project. What the book says of crashes happens.

mod annotate;
mod book;
mod brokers;
mod clocks;
mod complete;
mod features;
mod guarantee;
mod links;
mod operating;
mod packages;
mod shutdown;
mod versions;

use std::path::{Path, PathBuf};

/// Of the book: code for a client that is in no registry yet.
const UNRELEASED: &str = "## Apache's own client";

/// The Rust code that no doctest compiles, part by part, as a reader sees it.
fn shown(markdown: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), None);
    let mut section = "";
    for line in markdown.lines() {
        match &mut part {
            None if line == "```rust,ignore" => part = Some(String::new()),
            None if line.starts_with("## ") => section = line,
            None => {}
            Some(text) if line.is_empty() => parts.push((section, std::mem::take(text))),
            Some(text) if line == "```" => {
                parts.push((section, std::mem::take(text)));
                part = None;
            }
            Some(text) => *text += &format!("{line}\n"),
        }
    }
    parts.into_iter().filter(|(section, _)| *section != UNRELEASED).map(|(_, part)| part).collect()
}

/// Without what the compiler doesn't see: comments and layout.
fn bare(code: &str) -> String {
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter_map(|line| line.split(" // ").next()).flat_map(str::split_whitespace).collect()
}

/// The code below this folder that has to compile.
fn compiled(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let code = |path: PathBuf| match path.file_name().and_then(|name| name.to_str()) {
        Some("target" | "fail") => Vec::new(),
        _ if path.is_dir() => compiled(&path),
        Some(name) if name.ends_with(".rs") => vec![bare(&std::fs::read_to_string(&path).unwrap())],
        _ => Vec::new(),
    };
    entries.flat_map(code).collect()
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(project().join(path)).unwrap()
}

/// README and the pages of the book, by their paths in the project.
fn pages() -> Vec<String> {
    let book = std::fs::read_dir(project().join("docs/src")).unwrap().map(|entry| entry.unwrap().file_name());
    let book = book.map(|name| format!("docs/src/{}", name.to_str().unwrap())).filter(|path| path.ends_with(".md"));
    std::iter::once("README.md".to_owned()).chain(book).collect()
}

#[test]
fn what_is_shown_is_compiled() {
    let code: Vec<_> = ["examples", "tests"].iter().flat_map(|folder| compiled(&project().join(folder))).collect();
    let mut lacking = String::new();
    let has = |part: &String| code.iter().any(|file| file.contains(&bare(part)));
    for page in pages() {
        let parts = shown(&read(&page));
        for part in parts.iter().filter(|part| !has(part)) {
            lacking += &format!("{page} shows:\n{part}\n");
        }
    }
    assert!(lacking.is_empty(), "what no file has\n{lacking}");
}

/// A page's complete programs are the doctests of this package.
#[test]
fn each_page_with_a_complete_program_is_a_doctest() {
    let front = read("tests/src/lib.rs");
    let complete = |line: &str| line.starts_with("```rust") && line != "```rust,ignore";
    let pages = pages().into_iter().filter(|page| read(page).lines().any(complete)).collect::<Vec<_>>();
    assert!(pages.len() >= 4, "{pages:?}");
    for page in pages {
        assert!(
            front.contains(&format!("#[doc = include_str!(\"../../{page}\")]")),
            "{page} has programs that nothing compiles"
        );
    }
}

#[test]
fn parts_are_told_apart_and_doctests_left_out() {
    let page = "## A\n```rust,ignore\na(); // why\n\n// In main:\nb();\n```\n```rust\nc();\n```\n";
    let parts: Vec<_> = shown(page).iter().map(|part| bare(part)).collect();
    assert_eq!(parts, ["a();", "b();"]);
    assert_eq!(shown(&page.replace("## A", UNRELEASED)), [""; 0]);
}

/// A caller that rolls back to a savepoint instead, and goes on, commits nothing, or only a part.
#[test]
fn the_page_of_tx_mode_says_that_no_savepoint_outlives_a_deadlock() {
    let page = read("idem-runtime/src/tx.rs");
    let page: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("//! ")).collect();
    let page = page.join(" ");
    for says in [
        "a deadlock rolls back the *whole* transaction of its victim. What was written before a savepoint is undone too, and \
         so is the savepoint",
        "In the caller, roll the whole transaction back then, and run all of it again. Don't ignore an error 1305.",
    ] {
        assert!(page.contains(says), "{says}");
    }
}
