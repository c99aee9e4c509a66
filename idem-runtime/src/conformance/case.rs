//! A case of the suite.

use super::bench::Bench;
use super::run::Job;
use super::verdict::Verdict;

/// One case.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The rule of the protocol that the case tests, or the fault in other systems.
    pub(super) stands_for: &'static str,
    pub(super) run: fn(Bench) -> Job<'static, Verdict>,
}
