//! The rules of the floors, and what breaks them.

use std::collections::BTreeSet;

use crate::names::Meaning;
use crate::paths::Written;
use crate::tree::{Module, Place, Tree};

/// The rooms of `idem-runtime/src`. Each imports only rooms that stand earlier.
pub(crate) const ROOMS: [&str; 11] =
    ["protocol", "codec", "task", "error", "store", "handler", "engine", "tx", "testing", "conformance", "private"];

/// A room that doesn't import one although that stands earlier.
const APART: [(&str, &str); 1] = [("error", "task")];

/// What `protocol` is told: the time, the owner, the record's bytes.
const NOT_IN_PROTOCOL: [&[&str]; 9] = [
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["std", "time", "UNIX_EPOCH"],
    &["std", "time", "*"],
    &["tokio"],
    &["serde"],
    &["getrandom"],
    &["rand"],
    &["proptest"],
];

/// What the engine sees of `store`: the traits.
const SEEN_BY_THE_ENGINE: [&[&str]; 2] = [&["store"], &["store", "admin"]];

/// All that breaks a rule of the floors, one line each: where, what, and why.
pub(crate) fn broken(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    for (place, module) in &tree.modules {
        let Some(room) = room(tree, place) else { continue };
        if !ROOMS.contains(&room) {
            broken.push(format!("{}: `{room}` is not in the list of the floors: {}", module.file, list()));
            continue;
        }
        for written in &module.written {
            for why in of_path(tree, room, &Meaning::of(tree, place, written)) {
                broken.push(format!("{}: {why}", shown(module, written)));
            }
        }
    }
    broken.sort();
    broken.dedup();
    broken
}

/// What is wrong with a path of a room that means this.
fn of_path(tree: &Tree, room: &str, meaning: &Meaning) -> BTreeSet<String> {
    let through = meaning.through.iter().filter_map(|place| not_below(room, self::room(tree, place)?));
    let at = meaning.at.iter().filter_map(|place| match self::room(tree, place) {
        None => Some(format!(
            "it leads to what lib.rs defines, or to lib.rs as a whole: lib.rs imports all rooms, so `{room}` may name only \
             what it re-exports"
        )),
        Some("store") if room == "engine" && !SEEN_BY_THE_ENGINE.iter().any(|seen| place == seen) => {
            Some(format!("it leads to `{}`, and the engine names no store: it sees the traits", place.join("::")))
        }
        Some(other) => not_below(room, other),
    });
    through.chain(at).chain(meaning.outside.iter().filter_map(|path| outside(room, path))).collect()
}

/// What is wrong with a path of a room into another crate.
fn outside(room: &str, path: &[String]) -> Option<String> {
    let mut path: Vec<&str> = path.iter().map(String::as_str).collect();
    if path[0] == "core" {
        path[0] = "std";
    }
    if room == "protocol" && NOT_IN_PROTOCOL.iter().any(|banned| path.starts_with(banned)) {
        return Some("`protocol` knows no clock, no serde and no randomness: its callers tell it".to_owned());
    }
    (path[0] == "idem_macros").then(|| "only lib.rs imports `idem_macros`, to re-export the attribute".to_owned())
}

/// Why `room` may not import `other`, if it may not.
fn not_below(room: &str, other: &str) -> Option<String> {
    let floor = |room| ROOMS.iter().position(|name| *name == room);
    let apart = APART.contains(&(room, other));
    if room == other || floor(other) < floor(room) && floor(other).is_some() && !apart {
        return None;
    }
    let rule = match apart {
        true => format!("`{room}` imports no `{other}`, although it stands earlier"),
        false => "a room imports only rooms that stand earlier".to_owned(),
    };
    Some(format!("it leads to `{other}`, which `{room}` may not import: {rule} in {}", list()))
}

fn list() -> String {
    format!("{} (ARCHITECTURE.md, \"Floors\")", ROOMS.join(", "))
}

/// The room of a module. `None`: it stands in lib.rs.
fn room<'p>(tree: &Tree, place: &'p Place) -> Option<&'p str> {
    let front = &tree.modules[&Vec::new()].file;
    place.first().filter(|_| tree.modules[place].file != *front).map(String::as_str)
}

/// A path and where it stands.
pub(crate) fn shown(module: &Module, written: &Written) -> String {
    format!("{}:{}: `{}`", module.file, written.line, written.segments.join("::"))
}
