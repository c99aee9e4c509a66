//! What a minute is enough for. README.md says how to run the rest.

use std::time::Duration;

use idem_model::runs::{self, MORE, WITHOUT};
use idem_model::{Budget, COMPLETES, IS_RECORDED_LATE, IS_REPLACED, IS_TAKEN_OVER, Policy, RUNS_TWICE, Setup};

/// Far longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Two workers with one call each, of whom one can die, be dropped or fail.
fn small(policy: Policy) -> Setup {
    let mut setup = Setup::new(policy);
    (setup.calls, setup.budget.late, setup.budget.give_up) = (1, 1, 1);
    setup
}

#[test]
fn nothing_breaks_in_any_order_of_what_can_happen() {
    for policy in Policy::ALL {
        let report = runs::check(small(policy), PATIENCE);
        println!("{policy:?}: {report}");
        assert!(report.exhaustive && report.broken.is_empty(), "{policy:?}: {report}");
        for seen in [COMPLETES, RUNS_TWICE, IS_TAKEN_OVER, IS_RECORDED_LATE] {
            assert!(report.seen.contains(&seen), "{policy:?}: {report}");
        }
    }
}

/// A completion that the background repeats: its caller was told that it was not recorded, a redelivery of the same worker
/// and another worker's call run meanwhile, a lease ends, and the ttl of what was recorded.
#[test]
fn a_completion_that_goes_on_in_the_background_breaks_nothing() {
    for policy in Policy::ALL {
        let mut setup = Setup::new(policy);
        setup.budget = Budget { lease: 1, ttl: 1, give_up: 1, late: 2, ..Budget::NONE };
        let report = runs::check(setup, PATIENCE);
        println!("{policy:?}: {report}");
        assert!(report.exhaustive && report.broken.is_empty(), "{policy:?}: {report}");
        assert!(report.seen.contains(&IS_RECORDED_LATE), "{policy:?}: {report}");
    }
}

/// An operator resolves a key and says something else later, or forgets it, while whoever held it is still at it.
#[test]
fn an_operator_who_replaces_a_resolution_breaks_nothing() {
    for policy in Policy::ALL {
        let mut setup = small(policy);
        setup.budget = Budget { lease: 1, crash: 1, cancel: 1, ttl: 1, admin: 2, ..Budget::NONE };
        let report = runs::check(setup, PATIENCE);
        println!("{policy:?}: {report}");
        assert!(report.exhaustive && report.broken.is_empty(), "{policy:?}: {report}");
        assert!(report.seen.contains(&IS_REPLACED), "{policy:?}: {report}");
    }
}

/// Each rule is needed: without it something breaks.
#[test]
fn without_a_rule_something_breaks() {
    for run in WITHOUT {
        let Some(broken) = run.breaks else { continue };
        let mut setup = Setup::new(run.policy);
        (run.change)(&mut setup);
        let report = runs::hunt(setup, broken, PATIENCE);
        println!("{:?}, without: {}: {} states, {:.1?}", run.policy, run.rule, report.states, report.took);
        assert_eq!(report.broken.len(), 1, "{:?} needs: {}: {report}", run.policy, run.rule);
    }
}

#[test]
fn runs_have_names_of_their_own() {
    let names = MORE.iter().map(|(name, _)| *name).chain(WITHOUT.iter().map(|run| run.rule));
    let mut names: Vec<_> = names.collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}
