//! A copy of the library and of the model, in the folder of what is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use idem_model::Broken;

use crate::patch::Mutation;

pub(crate) struct Tree {
    workspace: PathBuf,
    copy: PathBuf,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
        let _ = fs::remove_dir_all(&copy);
        for folder in ["idem-runtime", "idem-macros", "tests/model"] {
            copy_folder(&workspace.join(folder), &copy.join(folder));
        }
        let manifest = fs::read_to_string(workspace.join("Cargo.toml")).unwrap();
        // The rest of the workspace isn't there.
        let lines = manifest.lines().filter(|line| !line.starts_with("default-members")).map(|line| {
            if line.starts_with("members") { r#"members = ["idem-macros", "idem-runtime"]"# } else { line }
        });
        fs::write(copy.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n")).unwrap();
        Self { workspace, copy }
    }

    /// Writes the library's files as they are, but for what the mutation takes away.
    pub(crate) fn apply(&self, mutation: &Mutation) {
        copy_folder(&self.workspace.join("idem-runtime/src"), &self.copy.join("idem-runtime/src"));
        let text = fs::read_to_string(self.workspace.join(&mutation.file)).unwrap();
        fs::write(self.copy.join(&mutation.file), mutation.apply(&text)).unwrap();
    }

    /// What the model says that is built on this tree.
    pub(crate) fn model(&self, what: &str, broken: Option<Broken>, run: &str) -> String {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--locked", "--bin", "idem-model", "--", what]);
        cargo.args(broken.map(|broken| (broken as usize).to_string())).args(run.split(' '));
        // The second build of a tree is of one file.
        cargo.env("CARGO_INCREMENTAL", "1").env("CARGO_TARGET_DIR", target());
        let output = cargo.current_dir(self.copy.join("tests/model")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if said.is_empty() { String::from_utf8_lossy(&output.stderr).into_owned() } else { said }
    }
}

/// The folder that this was built in: what the model depends on is built there already.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

/// Files that are the same stay as they are, so that nothing is built because of them.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                copy_folder(&source, &target);
            }
            continue;
        }
        let bytes = fs::read(&source).unwrap();
        if fs::read(&target).ok().as_ref() != Some(&bytes) {
            fs::write(&target, bytes).unwrap();
        }
    }
}
