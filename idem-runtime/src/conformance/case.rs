//! What a case is.

use super::bench::Bench;
use super::run::Job;
use super::verdict::Verdict;

/// One case.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// The rule of the protocol, or the fault seen in other systems.
    pub(super) stands_for: &'static str,
    pub(super) run: fn(Bench) -> Job<'static, Verdict>,
}
