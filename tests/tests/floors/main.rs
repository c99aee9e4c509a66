//! The floors of `idem-runtime/src`: each room imports only rooms that stand earlier in the list, and no modules import each
//! other. ARCHITECTURE.md, which says so, names what exists.

mod architecture;
mod circles;
mod names;
mod paths;
mod red;
mod rules;
mod tree;

use std::path::Path;

use self::tree::Tree;

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn runtime() -> Tree {
    Tree::of_folder("idem_runtime", project(), "idem-runtime/src")
}

#[test]
fn each_room_imports_only_rooms_that_stand_earlier() {
    let broken = rules::broken(&runtime());
    assert!(broken.is_empty(), "{} imports break the floors:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn no_modules_import_each_other() {
    for tree in [runtime(), Tree::of_folder("idem_macros", project(), "idem-macros/src")] {
        let circles = circles::circles(&tree);
        assert!(circles.is_empty(), "{} has circles\n{}", tree.name, circles.join("\n"));
    }
}
