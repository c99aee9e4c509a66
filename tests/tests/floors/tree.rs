//! The modules of a crate: each with the paths that its code writes down. Code for tests is left out.

use std::collections::BTreeMap;
use std::path::Path;

use syn::{Attribute, Item, Meta};

use crate::paths::{self, Written};

/// Where a module is, seen from the crate's root: `["store", "sqlite"]`. The root is empty.
pub(crate) type Place = Vec<String>;

/// A module: a file, or a `mod` with a body.
pub(crate) struct Module {
    /// The file that it stands in.
    pub(crate) file: String,
    pub(crate) written: Vec<Written>,
    /// What it imports, by the name that it has then. Under `*` are the glob imports.
    pub(crate) imports: BTreeMap<String, Vec<Vec<String>>>,
}

impl Module {
    fn new(file: &str, written: Vec<Written>) -> Self {
        let mut imports = BTreeMap::<_, Vec<_>>::new();
        for import in &written {
            if let Some(name) = &import.imported_as {
                imports.entry(name.clone()).or_default().push(import.segments.clone());
            }
        }
        Self { file: file.to_owned(), written, imports }
    }
}

pub(crate) struct Tree {
    /// What the crate is called in paths.
    pub(crate) name: &'static str,
    pub(crate) modules: BTreeMap<Place, Module>,
}

impl Tree {
    /// The modules of the crate whose `lib.rs` is in this folder of the project.
    pub(crate) fn of_folder(name: &'static str, project: &Path, folder: &str) -> Self {
        let read = |file: &str| std::fs::read_to_string(project.join(folder).join(file)).unwrap();
        let mut tree = Self { name, modules: BTreeMap::new() };
        tree.add_file(Vec::new(), "lib.rs", &read);
        for module in tree.modules.values_mut() {
            module.file = format!("{folder}/{}", module.file);
        }
        tree
    }

    /// The modules of a crate whose files are these texts.
    pub(crate) fn of_texts(name: &'static str, texts: &BTreeMap<&str, String>) -> Self {
        let mut tree = Self { name, modules: BTreeMap::new() };
        tree.add_file(Vec::new(), "lib.rs", &|file| texts[file].clone());
        tree
    }

    fn add_file(&mut self, place: Place, file: &str, read: &dyn Fn(&str) -> String) {
        let parsed = syn::parse_file(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.add(place, file, &parsed.items, read);
    }

    fn add(&mut self, place: Place, file: &str, items: &[Item], read: &dyn Fn(&str) -> String) {
        let module = Module::new(file, paths::of_items(items));
        for item in items {
            let Item::Mod(declared) = item else { continue };
            if is_for_tests(&declared.attrs) {
                continue;
            }
            assert!(!has(&declared.attrs, "path"), "{file}: the test of the floors doesn't follow #[path]");
            let child = [place.as_slice(), &[declared.ident.to_string()]].concat();
            match &declared.content {
                Some((_, items)) => self.add(child, file, items, read),
                None => self.add_file(child.clone(), &format!("{}.rs", child.join("/")), read),
            }
        }
        self.modules.insert(place, module);
    }
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident(name))
}

/// Whether these attributes leave something out of every build but a test's: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ..))]`,
/// `#[cfg(idem_shuttle)]`.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    has(attributes, "test")
        || attributes.iter().any(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg") => {
                let asked = list.tokens.to_string().replace(' ', "");
                asked == "test" || asked.starts_with("all(test,") || asked == "idem_shuttle"
            }
            _ => false,
        })
}
