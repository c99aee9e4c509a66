//! A mutation: a patch with a head.

use std::fs;
use std::path::{Path, PathBuf};

use idem_model::Broken;

use crate::broken;

/// What the model finds.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    /// The guard is a defence in depth.
    Nothing,
    Broken {
        what: Broken,
        steps: usize,
    },
}

pub(crate) struct Mutation {
    pub(crate) name: String,
    /// Of a defence in depth there are several.
    pub(crate) runs: Vec<String>,
    pub(crate) found: Found,
    /// The file that is changed, from the workspace's folder.
    pub(crate) file: PathBuf,
    /// What each place is, and what it becomes.
    changes: Vec<(String, String)>,
}

impl Mutation {
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (head, patch) = text.split_once("\n\n").unwrap_or_else(|| panic!("{name}: no head"));
        let field = |field| head.lines().find_map(|line| line.strip_prefix(field));
        let required = |of| field(of).unwrap_or_else(|| panic!("{name}: no `{of}`"));
        assert!(!required("Guard: ").is_empty(), "{name}");
        let found = match required("Breaks: ") {
            "nothing" => {
                assert!(!required("Defence in depth: ").is_empty(), "{name}");
                Found::Nothing
            }
            text => Found::Broken {
                what: broken(text).unwrap_or_else(|| panic!("{name}: {text}")),
                steps: required("Steps: ").parse().unwrap_or_else(|_| panic!("{name}: no number of steps")),
            },
        };
        let file =
            patch.lines().find_map(|line| line.strip_prefix("+++ b/")).unwrap_or_else(|| panic!("{name}: no file"));
        let runs: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("Run: ")).map(str::to_owned).collect();
        assert!(!runs.is_empty(), "{name}: no run");
        Self { runs, found, file: file.into(), changes: changes(patch), name }
    }

    /// The file with the guard taken away. Places are found by their text, wherever they stand by now.
    pub(crate) fn apply(&self, text: &str) -> String {
        self.changes.iter().fold(text.to_owned(), |text, (before, after)| {
            assert_eq!(text.matches(before.as_str()).count(), 1, "{}: not there once:\n{before}", self.name);
            text.replace(before.as_str(), after)
        })
    }
}

/// The hunks of a unified diff.
fn changes(patch: &str) -> Vec<(String, String)> {
    let mut changes: Vec<(String, String)> = Vec::new();
    for line in patch.lines() {
        if line.starts_with("@@") {
            changes.push(Default::default());
        }
        let Some((before, after)) = changes.last_mut().filter(|_| !line.starts_with("@@")) else { continue };
        // An empty line may have lost its mark.
        let (mark, rest) = line.split_at_checked(1).unwrap_or((" ", ""));
        for (side, marks) in [(before, " -"), (after, " +")] {
            if marks.contains(mark) {
                side.push_str(rest);
                side.push('\n');
            }
        }
    }
    changes
}
