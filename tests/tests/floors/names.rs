//! What a path means: the modules that it goes through, and the one that defines what it names.

use std::collections::BTreeSet;

use crate::paths::Written;
use crate::tree::{Place, Tree};

/// Where a path leads.
#[derive(Debug, Default)]
pub(crate) struct Meaning {
    /// The modules that re-export what it names.
    pub(crate) through: BTreeSet<Place>,
    /// The modules that it names, or whose items.
    pub(crate) at: BTreeSet<Place>,
    /// Of another crate: the whole path there.
    pub(crate) outside: BTreeSet<Vec<String>>,
}

impl Meaning {
    /// What this path means in the module at `place`.
    pub(crate) fn of(tree: &Tree, place: &Place, written: &Written) -> Self {
        let mut search = Search { tree, meaning: Self::default(), under_way: BTreeSet::new() };
        // An import doesn't find itself.
        let own = written.imported_as.iter().map(|name| (place.clone(), name.clone()));
        search.under_way.extend(own);
        search.from(place, &written.segments);
        search.meaning
    }
}

struct Search<'t> {
    tree: &'t Tree,
    meaning: Meaning,
    /// The imports that are being followed: the module, and the name.
    under_way: BTreeSet<(Place, String)>,
}

impl Search<'_> {
    /// A path as it is written in the module at `place`.
    fn from(&mut self, place: &Place, path: &[String]) {
        let Some(first) = path.first() else { return };
        match first.as_str() {
            "crate" => self.within(&Vec::new(), &path[1..]),
            "self" | "super" => self.within(place, path),
            name if name == self.tree.name => self.within(&Vec::new(), &path[1..]),
            name if self.is_child(place, name) || !self.imports(place, name).is_empty() => self.within(place, path),
            _ => {
                self.meaning.outside.insert(path.to_vec());
            }
        }
    }

    /// The rest of a path, whose beginning led to the module at `place`.
    fn within(&mut self, place: &Place, rest: &[String]) {
        let Some((name, behind)) = rest.split_first() else {
            self.meaning.at.insert(place.clone());
            return;
        };
        match name.as_str() {
            "self" => return self.within(place, behind),
            "super" => return self.within(&place[..place.len().saturating_sub(1)].to_vec(), behind),
            _ => {}
        }
        let imports = self.imports(place, name);
        // A module and a function can have one name: what stands behind a name is in the module.
        if self.is_child(place, name) && (imports.is_empty() || !behind.is_empty()) {
            return self.within(&[place.as_slice(), std::slice::from_ref(name)].concat(), behind);
        }
        if imports.is_empty() {
            self.meaning.at.insert(place.clone());
        } else {
            self.meaning.through.insert(place.clone());
        }
        let globs = if imports.is_empty() { self.imports(place, "*") } else { Vec::new() };
        if !self.under_way.insert((place.clone(), name.clone())) {
            return;
        }
        for import in imports {
            self.from(place, &[&import, behind].concat());
        }
        // Any of them can be where it comes from.
        for glob in globs {
            self.from(place, &glob[..glob.len() - 1]);
        }
        self.under_way.remove(&(place.clone(), name.clone()));
    }

    fn is_child(&self, place: &Place, name: &str) -> bool {
        self.tree.modules.contains_key(&[place.as_slice(), &[name.to_owned()]].concat())
    }

    /// What the module at `place` imports under this name, unless that is being followed already.
    fn imports(&self, place: &Place, name: &str) -> Vec<Vec<String>> {
        if self.under_way.contains(&(place.clone(), name.to_owned())) {
            return Vec::new();
        }
        self.tree.modules.get(place).and_then(|module| module.imports.get(name)).cloned().unwrap_or_default()
    }
}
