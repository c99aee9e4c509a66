//! What came of a run of the suite.

use std::fmt;

use super::verdict::Mismatch;

/// The result of a run of the suite. Its `Display` lists the cases that failed.
#[derive(Clone, Debug, Default)]
#[must_use = "a report says whether the store passed"]
pub struct Report {
    pub(super) passed: Vec<&'static str>,
    pub(super) skipped: Vec<&'static str>,
    pub(super) failures: Vec<Failure>,
}

impl Report {
    /// Whether no case failed.
    pub fn is_ok(&self) -> bool {
        self.failures.is_empty()
    }

    /// The names of the cases that passed.
    pub fn passed(&self) -> &[&'static str] {
        &self.passed
    }

    /// The names of the cases that could not be run: those of an operator and of sweeps, if the store has no
    /// [`admin`](crate::IdempotencyStore::admin), those of a clock that is set back, if [`Suite::clock`](super::Suite::clock) is
    /// not set, and those during which the machine stood still for too long to tell.
    pub fn skipped(&self) -> &[&'static str] {
        &self.skipped
    }

    /// The cases that failed.
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }

    /// Whether the case with this name failed.
    pub fn has_failed(&self, case: &str) -> bool {
        self.failures.iter().any(|failure| failure.case == case)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, passed, skipped) = (self.failures.len(), self.passed.len(), self.skipped.len());
        write!(f, "{failed} of {} cases failed", failed + passed)?;
        if skipped > 0 {
            write!(f, ", {skipped} were skipped")?;
        }
        for failure in &self.failures {
            write!(f, "\n\n{failure}")?;
        }
        Ok(())
    }
}

/// A case that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(super) case: &'static str,
    pub(super) stands_for: &'static str,
    pub(super) mismatch: Mismatch,
}

impl Failure {
    /// The name of the case.
    pub fn case(&self) -> &'static str {
        self.case
    }

    /// The rule that the case stands for, or the fault that was found in another store. A number such as `R9` is that of a
    /// rule, by which the book's page "How it was proven" groups them.
    pub fn stands_for(&self) -> &'static str {
        self.stands_for
    }

    /// The step of the case that failed.
    pub fn step(&self) -> &str {
        &self.mismatch.step
    }

    /// What was expected.
    pub fn expected(&self) -> &str {
        &self.mismatch.expected
    }

    /// What the store answered.
    pub fn answered(&self) -> &str {
        &self.mismatch.answered
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.case)?;
        writeln!(f, "    stands for: {}", self.stands_for)?;
        writeln!(f, "    at:         {}", self.step().replace('\n', "\n                "))?;
        writeln!(f, "    expected:   {}", self.expected())?;
        write!(f, "    answered:   {}", self.answered())
    }
}
