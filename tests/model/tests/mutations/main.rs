//! Each guard of `step` is taken away, from a copy of the library, and the model is built on what is left: it finds what
//! breaks. `mutations/*.patch` say what is taken away, in which run that shows, what breaks, and by how many steps.
//!
//! `MUTATION=name cargo test --test mutations` checks one alone.

mod patch;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use idem_model::{Broken, runs};

use self::patch::{Found, Mutation};
use self::tree::Tree;

/// Far longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(900);

fn mutations() -> Vec<Mutation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutations");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let only = std::env::var("MUTATION").ok();
    let read = paths.iter().map(|path| Mutation::read(path));
    read.filter(|mutation| only.as_ref().is_none_or(|name| *name == mutation.name)).collect()
}

/// What the model says in a run of a mutation, where it isn't what the patch says.
fn wrong(tree: &Tree, mutation: &Mutation, run: &str) -> Option<String> {
    let (said, expected) = match mutation.found {
        Found::Nothing => (tree.model("run", None, run), ["exhaustive", "holds"].map(str::to_owned)),
        Found::Broken { what, steps } => {
            (tree.model("hunt", Some(what), run), [what.text().to_owned(), format!("by {steps} steps")])
        }
    };
    let (name, first) = (&mutation.name, said.lines().next().unwrap_or_default());
    println!("{name}: {first}");
    let is_right = expected.iter().all(|part| first.contains(part.as_str()));
    (!is_right).then(|| format!("{name}: expected: {}\n{said}", expected.join(", ")))
}

#[test]
fn without_a_guard_of_the_step_something_breaks() {
    let tree = Tree::new();
    let mutations = mutations();
    assert!(!mutations.is_empty(), "no such mutation");
    let mut all_wrong = Vec::new();
    for mutation in &mutations {
        tree.apply(mutation);
        all_wrong.extend(mutation.runs.iter().filter_map(|run| wrong(&tree, mutation, run)));
    }
    assert!(all_wrong.is_empty(), "{} are wrong:\n{}", all_wrong.len(), all_wrong.join("\n"));
}

/// Or what a run finds might not come from what was taken away.
#[test]
fn with_its_guards_the_step_breaks_in_none_of_these_runs() {
    let runs: BTreeSet<String> = mutations().into_iter().flat_map(|mutation| mutation.runs).collect();
    for run in runs {
        let report = runs::check(runs::setup(&run), PATIENCE);
        assert!(report.exhaustive, "{run}: {report}");
    }
}

/// What breaks, by its name in a report.
fn broken(text: &str) -> Option<Broken> {
    Broken::ALL.into_iter().find(|(_, name)| *name == text).map(|(broken, _)| broken)
}
