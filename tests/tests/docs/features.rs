//! README's table of features against what Cargo resolves.

use std::collections::BTreeSet;
use std::process::Command;

use crate::{project, read};

/// A line of the table: the features of its first cell, what all of its cells say, and its last cell.
struct Line {
    features: Vec<String>,
    text: String,
    adds: String,
}

/// A number of the last cell, and the feature to which it is added: "10 with `postgres`".
#[derive(Debug, PartialEq)]
struct Count {
    crates: usize,
    with: Option<String>,
}

fn table(readme: &str) -> Vec<Line> {
    let rows = readme.lines().skip_while(|line| !line.starts_with("| feature |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            Line { features: quoted(cells[0]), text: line.to_owned(), adds: cells[2].to_owned() }
        })
        .collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn counts(adds: &str) -> Vec<Count> {
    let list = adds.split(" (").next().unwrap_or_default();
    let count = |part: &str| {
        let crates = part.split(' ').next()?.parse().ok()?;
        Some(Count { crates, with: quoted(part).pop() })
    };
    list.split(", ").filter_map(count).collect()
}

/// The crates of `idem-runtime` with these features, each with its version: what a build script alone needs aside. On one
/// target, so that the machine doesn't matter.
fn crates(features: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-p", "idem-runtime", "-e", "normal", "--prefix", "none", "--no-dedupe"])
        .args(["--target", "x86_64-unknown-linux-gnu", "--no-default-features", "--features", features])
        .current_dir(project())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// How many crates a feature adds to those of another one, or of none.
fn added(feature: &str, with: &str) -> usize {
    crates(&format!("{feature},{with}")).difference(&crates(with)).count()
}

#[test]
fn the_table_of_features_counts_what_cargo_resolves() {
    let mut wrong = String::new();
    let mut uncounted = Vec::new();
    for line in table(&read("README.md")) {
        let counts = counts(&line.adds);
        match line.features.as_slice() {
            [] => assert_eq!(counts[0].crates, crates("").len(), "{}", line.text),
            features if counts.is_empty() => uncounted.extend_from_slice(features),
            features => {
                let each = features.iter().cycle().zip(&counts);
                assert!(features.len() == 1 || features.len() == counts.len(), "{}", line.text);
                for (feature, count) in each {
                    let found = added(feature, count.with.as_deref().unwrap_or_default());
                    if found != count.crates {
                        wrong += &format!("{feature} adds {found}: {count:?}\n");
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    let drivers = ["sqlx-sqlite", "sqlx-08-postgres", "sqlx-08-mysql", "tokio-postgres", "diesel-async", "sea-orm"];
    assert_eq!(uncounted, drivers);
}

#[test]
fn the_table_of_features_has_each_of_them() {
    let manifest = read("idem-runtime/Cargo.toml");
    let features = manifest.split("[features]\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let features = features.filter_map(|line| line.split(" = ").next()).filter(|name| *name != "default");
    let named: Vec<_> = table(&read("README.md")).iter().flat_map(|line| quoted(&line.text)).collect();
    let lacking: Vec<_> = features.filter(|feature| !named.contains(&(*feature).to_owned())).collect();
    assert_eq!(lacking, [""; 0]);
}

#[test]
fn the_numbers_of_a_cell_are_told_apart() {
    let count = |crates, with: Option<&str>| Count { crates, with: with.map(str::to_owned) };
    assert_eq!(counts("23 in all, most of which: `tokio`"), [count(23, None)]);
    assert_eq!(counts("9 (`rusqlite`, 10 of C)"), [count(9, None)]);
    assert_eq!(counts("10 with `a`, 11 with `b` (`c`)"), [count(10, Some("a")), count(11, Some("b"))]);
    assert_eq!(counts("1, 3"), [count(1, None), count(3, None)]);
    assert_eq!(counts("the driver, which you have"), []);
}
