//! Each file of each corpus, given to its target without a fuzzer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use idem_fuzz::TARGETS;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The names of what is in a folder, without what follows a dot.
fn names(folder: &str) -> BTreeSet<String> {
    files(&here(folder)).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn no_file_of_a_corpus_shows_a_fault() {
    for (name, run) in TARGETS {
        let files = files(&here("corpus").join(name));
        assert!((10..100).contains(&files.len()), "{name} has {} files", files.len());
        for file in files {
            println!("{}", file.display()); // shown where it panics
            run(&std::fs::read(&file).unwrap());
        }
    }
}

#[test]
fn each_target_has_a_corpus_and_a_program() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets, names("corpus"));
    assert_eq!(targets, names("fuzz_targets"));
}
