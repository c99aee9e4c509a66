//! All cases, by subject.

mod admin;
mod claims;
mod clocks;
mod completions;
mod ended;
mod expiry;
mod fingerprints;
mod keys;
mod leaving;
mod not_run;
mod orphans;
mod races;
mod records;
mod renewals;
mod sweeps;
mod waiting;

use super::case::Case;
use super::differential;

/// A table of cases. Each line has what the case stands for and its function, whose name is the name of the case.
macro_rules! cases {
    ($($stands_for:literal => $case:path as $name:ident,)*) => {
        &[$(crate::conformance::case::Case {
            name: stringify!($name),
            stands_for: $stands_for,
            run: |bench| Box::pin($case(bench)),
        }),*]
    };
    ($($stands_for:literal => $case:ident,)*) => {
        crate::conformance::cases::cases! { $($stands_for => $case as $case,)* }
    };
}
use cases;

/// The cases that run at the same time.
pub(super) fn together() -> impl Iterator<Item = &'static Case> {
    [
        claims::CASES,
        ended::CASES,
        fingerprints::CASES,
        orphans::CASES,
        renewals::CASES,
        completions::CASES,
        leaving::CASES,
        not_run::CASES,
        expiry::CASES,
        keys::CASES,
        records::CASES,
        waiting::CASES,
        admin::CASES,
        sweeps::CASES,
        differential::CASES,
    ]
    .into_iter()
    .flatten()
}

/// The cases that run one after the other, because each uses the store's full capacity or moves its clock.
pub(super) fn alone() -> impl Iterator<Item = &'static Case> {
    races::CASES.iter().chain(clocks::CASES)
}
