//! Circles among the modules of one folder: modules that import each other, by themselves or by what is in their folders.

use std::collections::{BTreeMap, BTreeSet};

use crate::names::Meaning;
use crate::rules::shown;
use crate::tree::{Place, Tree};

/// Which child of a module imports which other, and a line that does.
type Imports<'t> = BTreeMap<&'t str, BTreeMap<String, String>>;

/// A circle for each module among whose children there is one, with a line for each of its imports. What the module's own
/// file imports doesn't count: it stands above its children.
pub(crate) fn circles(tree: &Tree) -> Vec<String> {
    let meanings = meanings(tree);
    let parents: BTreeSet<&[String]> = tree.modules.keys().filter_map(|place| Some(place.split_last()?.1)).collect();
    let circle = |parent: &&[String]| {
        let imports = imports(tree, &meanings, parent);
        let found = imports.keys().filter_map(|child| way_back(&imports, child)).min_by_key(Vec::len)?;
        Some(format!(
            "among the modules of `{}`:\n{}",
            [&["crate".to_owned()], *parent].concat().join("::"),
            found.join("\n")
        ))
    };
    parents.iter().filter_map(circle).collect()
}

/// For each module: a line that imports, and the modules that it leads to.
fn meanings(tree: &Tree) -> Vec<(&Place, String, BTreeSet<Place>)> {
    let of = |place, written| {
        let meaning = Meaning::of(tree, place, written);
        meaning.through.into_iter().chain(meaning.at).collect::<BTreeSet<_>>()
    };
    let modules = tree.modules.iter();
    modules
        .flat_map(|(place, module)| {
            module.written.iter().map(move |written| (place, shown(module, written), of(place, written)))
        })
        .collect()
}

fn imports<'t>(tree: &'t Tree, meanings: &[(&'t Place, String, BTreeSet<Place>)], parent: &[String]) -> Imports<'t> {
    let child_of = |place: &Place| place.strip_prefix(parent).and_then(|below| below.first()).cloned();
    let mut imports = Imports::new();
    for (place, line, leads_to) in meanings {
        let Some(from) = place.strip_prefix(parent).and_then(|below| below.first()) else { continue };
        for to in leads_to.iter().filter(|to| tree.modules.contains_key(*to)).filter_map(child_of) {
            if to != *from {
                imports.entry(from).or_default().entry(to).or_insert_with(|| line.clone());
            }
        }
    }
    imports
}

/// The shortest way from a child back to itself: the lines that import.
fn way_back(imports: &Imports<'_>, child: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut ways = vec![(child, Vec::new())];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for (at, way) in ways {
            for (to, line) in imports.get(at).into_iter().flatten() {
                let way = [way.as_slice(), &[format!("  {at} -> {to}, {line}")]].concat();
                if to == child {
                    return Some(way);
                }
                if seen.insert(to) {
                    longer.push((to.as_str(), way));
                }
            }
        }
        ways = longer;
    }
    None
}
