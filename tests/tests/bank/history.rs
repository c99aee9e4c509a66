//! The history of a run, which its workers and its broker write.

use std::fmt;
use std::path::{Path, PathBuf};

/// The event that a line reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A body begins.
    Begins,
    /// The body's transaction is about to be committed.
    Commits,
    /// The call has returned its result, and in tx mode the transaction is committed: so the result is recorded.
    Recorded,
    /// An attempt has failed, and another follows. Rest: why.
    Again,
    /// A worker is about to kill itself. Rest: where.
    Dies,
    /// A worker is dead. The line has its number in place of an execution.
    Dead,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        let all = [Self::Begins, Self::Commits, Self::Recorded, Self::Again, Self::Dies, Self::Dead];
        all.into_iter().find(|kind| format!("{kind:?}") == word)
    }
}

/// One line: `kind transfer execution rest`, where an execution is a worker's number and its own, as `3.42`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) kind: Kind,
    pub(crate) execution: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (kind, _transfer) = (Kind::parse(words.next()?)?, words.next()?);
        Some(Self { kind, execution: words.next()?, rest: words.next()? })
    }

    /// What follows the execution.
    pub(crate) fn word(&self) -> &'a str {
        self.rest.split(' ').next().unwrap_or_default()
    }

    /// Whether this word follows the execution.
    pub(crate) fn is(&self, word: impl fmt::Debug) -> bool {
        self.word() == format!("{word:?}")
    }
}

/// The path of the history's file.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join("history")
}
