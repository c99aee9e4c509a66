//! What ARCHITECTURE.md names exists, and its list of rooms is the one that the imports are held to.

use crate::project;
use crate::rules::ROOMS;

fn page() -> String {
    std::fs::read_to_string(project().join("ARCHITECTURE.md")).unwrap()
}

/// What stands between backticks.
fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The text of a file that the page names. A folder has none.
fn text_of(path: &str) -> Option<String> {
    let found = ["", "idem-runtime/src/"].map(|folder| project().join(folder).join(path));
    let found = found.into_iter().find(|path| path.exists())?;
    Some(std::fs::read_to_string(found).unwrap_or_default())
}

/// Whether Rust code defines this.
fn defines(text: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    ["fn", "struct", "enum", "trait", "const", "static"].iter().any(|kind| {
        let defined = format!("{kind} {name}");
        text.match_indices(&defined).any(|(at, _)| ends(&text[at + defined.len()..]))
    })
}

/// What a piece of code on the page names that isn't there.
fn lacking(named: &str) -> Option<String> {
    let (path, name) = named.split_once(": ").unwrap_or((named, ""));
    let is_path = path.ends_with('/') || [".rs", ".md", ".lua"].iter().any(|end| path.ends_with(end));
    if !is_path || path.contains("NAME") {
        return None;
    }
    match text_of(path) {
        None => Some(format!("there is no {path}")),
        Some(text) if !name.is_empty() && !defines(&text, name) => Some(format!("{path} has no {name}")),
        Some(_) => None,
    }
}

#[test]
fn what_the_page_names_exists() {
    let page = page();
    let named: Vec<&str> = page.lines().flat_map(code).collect();
    let lacking: Vec<String> = named.iter().filter_map(|named| lacking(named)).collect();
    assert!(lacking.is_empty(), "ARCHITECTURE.md: {lacking:#?}");
    assert!(named.iter().filter(|named| named.contains(".rs: ")).count() >= 40, "{named:?}");
}

#[test]
fn what_is_not_there_is_told() {
    assert_eq!(lacking("engine/heartbeat.rs: beat"), None);
    assert_eq!(lacking("engine/heartbeat.rs: bea").as_deref(), Some("engine/heartbeat.rs has no bea"));
    assert_eq!(lacking("engine/nowhere.rs: beat").as_deref(), Some("there is no engine/nowhere.rs"));
    assert_eq!(lacking("engine/nowhere/").as_deref(), Some("there is no engine/nowhere/"));
    assert_eq!(lacking("on_crash"), None);
}

#[test]
fn the_page_lists_the_rooms_in_their_order() {
    let page = page();
    let (_, floors) = page.split_once("\n## Floors\n").unwrap();
    let (floors, _) = floors.split_once("\n## ").unwrap();
    let rows = floors.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(rows.collect::<Vec<_>>(), ROOMS);
    assert!(page.lines().count() <= 120, "one page: {} lines", page.lines().count());
}
