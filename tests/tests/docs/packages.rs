//! What is in the packages that are published.

use std::path::Path;
use std::process::Command;

use crate::{project, read};

const PUBLISHED: [&str; 2] = ["idem-macros", "idem-runtime"];

/// What includes a file for `tests/shuttle`, which alone sets this `cfg`: no user's build comes there.
const FOR_SHUTTLE: &str = "#[cfg(idem_shuttle)]\n#[path = ";

/// The files of a package, by their paths in it.
fn packaged(package: &str) -> Vec<String> {
    let list = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--locked", "-p", package])
        .current_dir(project())
        .output()
        .unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    String::from_utf8(list.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What a source includes: the paths, as it writes them.
fn included(source: &str) -> impl Iterator<Item = &str> {
    let calls = ["include_str!(\"", "include_bytes!(\"", "include!(\"", "#[path = \""];
    calls.into_iter().flat_map(|call| source.split(call).skip(1)).filter_map(|rest| rest.split('"').next())
}

#[test]
fn a_package_has_its_licences() {
    for package in PUBLISHED {
        let files = packaged(package);
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            assert!(files.iter().any(|file| file == licence), "{package} lacks {licence}");
            assert_eq!(read(&format!("{package}/{licence}")), read(licence), "{package}");
        }
    }
    assert!(packaged("idem-runtime").iter().any(|file| file == "README.md"));
}

/// Its tests and its doctests can then be built too, which a dry run of publishing doesn't do.
#[test]
fn a_package_includes_no_file_from_outside_of_it() {
    let mut seen = 0;
    for package in PUBLISHED {
        let files = packaged(package);
        for file in files.iter().filter(|file| file.ends_with(".rs")) {
            let source = read(&format!("{package}/{file}")).replace(FOR_SHUTTLE, "");
            for path in included(&source) {
                seen += 1;
                let whole = project().join(package).join(file).parent().unwrap().join(path).canonicalize().unwrap();
                let inside = whole.strip_prefix(project().join(package).canonicalize().unwrap()).ok();
                let has = inside.and_then(Path::to_str).is_some_and(|path| files.iter().any(|file| file == path));
                assert!(has, "{package}/{file} includes {path}");
            }
        }
    }
    assert!(seen >= 8, "{seen}");
}
