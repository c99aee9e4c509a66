//! Which changes of a result's type are safe: tests each row of the book's table, for the new code and the old code.

mod numbers;
mod structs;
mod variants;

use std::collections::BTreeMap;
use std::fmt::Debug;

use idem_runtime::{Error, MemoryStore, idempotent};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bounds of a type of results.
trait Recorded: Serialize + DeserializeOwned + Debug + PartialEq + Clone {}

impl<T: Serialize + DeserializeOwned + Debug + PartialEq + Clone> Recorded for T {}

/// The handler before and after a deploy. If its key is completed, its body isn't run.
#[idempotent(key = "1", store = store, scope = "deploys")]
fn handle<T: Recorded>(store: &MemoryStore, result: Option<T>) -> Result<T, Error> {
    Ok(result.unwrap())
}

/// Whether code that returns a `New` can replay the record of code that returned an `Old`. Asserts that it replays the expected value,
/// and that the old code can still replay its own record.
fn replays<Old: Recorded, New: Recorded>(recorded: Old, expected: Option<New>) -> bool {
    let store = MemoryStore::new();
    handle(&store, Some(recorded.clone())).unwrap();
    let replayed = match handle::<New>(&store, None) {
        Ok(replayed) => Some(replayed),
        Err(Error::Decode { .. }) => None,
        Err(other) => panic!("{recorded:?}: {other}"),
    };
    let is_replayed = replayed.is_some();
    assert_eq!((handle(&store, None).unwrap(), replayed), (recorded, expected));
    is_replayed
}

/// A row of the table.
struct Row {
    change: &'static str,
    /// For each record of the old code: whether the new code replays it.
    new: Vec<bool>,
    /// For each record of the new code: whether the old code replays it.
    old: Vec<bool>,
}

fn row(change: &'static str) -> Row {
    Row { change, new: Vec::new(), old: Vec::new() }
}

impl Row {
    /// The new code finds a record of the old code's.
    fn forth<Old: Recorded, New: Recorded>(mut self, recorded: Old, expected: Option<New>) -> Self {
        self.new.push(replays(recorded, expected));
        self
    }

    /// The old code finds a record of the new code's.
    fn back<New: Recorded, Old: Recorded>(mut self, recorded: New, expected: Option<Old>) -> Self {
        self.old.push(replays(recorded, expected));
        self
    }
}

/// The rows of the book, by their first cell.
fn book() -> BTreeMap<String, [String; 2]> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/src/results.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Changing the type of a result\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
        let [change, new, old] = cells[..] else { panic!("three cells: {line}") };
        Some((change.to_owned(), [new.to_owned(), old.to_owned()]))
    });
    rows.skip(1).collect()
}

/// Whether the text of a cell is right for these records: each of them is replayed, none is, or some are.
fn says(cell: &str, replayed: &[bool]) -> bool {
    let (some, all) = (replayed.contains(&true), !replayed.contains(&false));
    !replayed.is_empty() && cell.starts_with("replays") == some && cell.contains("`Decode`") != all
}

#[test]
fn r16_each_row_of_the_book_is_what_happens() {
    let mut book = book();
    for row in [structs::rows(), variants::rows(), numbers::rows()].into_iter().flatten() {
        let [new, old] = book.remove(row.change).unwrap_or_else(|| panic!("the book has no row `{}`", row.change));
        assert!(says(&new, &row.new), "{}: new code: {new}: {:?}", row.change, row.new);
        assert!(says(&old, &row.old), "{}: old code: {old}: {:?}", row.change, row.old);
    }
    assert!(book.is_empty(), "rows of the book without a test: {book:#?}");
}
