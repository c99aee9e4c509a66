//! The versions of rusqlite: the range, what our lock files have of it, and what the book says.

use crate::read;

/// The version of a crate in a lock file, without its patch level.
fn locked(lock: &str, name: &str) -> String {
    let lock = read(lock);
    let version = lock.split(&format!("name = \"{name}\"\nversion = \"")).nth(1).unwrap().split('"').next().unwrap();
    version.rsplit_once('.').unwrap().0.to_owned()
}

/// The range in the library's manifest: the oldest version, and the first that is too new.
fn range() -> (String, String) {
    let manifest = read("idem-runtime/Cargo.toml");
    let range = manifest.split("rusqlite = { version = \"").nth(1).unwrap().split('"').next().unwrap();
    let (oldest, end) = range.strip_prefix(">=").unwrap().split_once(", <").unwrap();
    (oldest.to_owned(), end.to_owned())
}

/// A member that brings sqlx 0.8 with `macros`, or sea-orm 1, would take the whole workspace to rusqlite 0.32.
#[test]
fn the_workspace_is_tested_with_the_newest_rusqlite_that_sqlx_allows() {
    assert_eq!(locked("Cargo.lock", "sqlx-sqlite"), "0.9");
    assert_eq!(
        (locked("Cargo.lock", "rusqlite"), locked("Cargo.lock", "libsqlite3-sys")),
        ("0.39".into(), "0.37".into())
    );
}

#[test]
fn both_ends_of_the_range_are_tested_and_named() {
    let (oldest, end) = range();
    let newest = locked("tests/rusqlite/newest/Cargo.lock", "rusqlite");
    assert_eq!(locked("tests/rusqlite/oldest/Cargo.lock", "rusqlite"), oldest);
    let next = newest.strip_prefix("0.").unwrap().parse::<u32>().unwrap() + 1;
    assert_eq!(end, format!("0.{next}"));
    for page in ["README.md", "docs/src/tx.md", "docs/src/stores.md", "docs/src/versions.md"] {
        let text = read(page).replace('\n', " ");
        assert!(text.contains(&format!("{oldest} to {newest}")), "{page}");
    }
}
