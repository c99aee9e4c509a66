//! What CI checks. README.md says how to run the rest.

use std::time::Duration;

use idem_model::runs::{self, SHORT, WITHOUT};
use idem_model::{COMPLETES, IS_RECORDED_LATE, IS_TAKEN_OVER, Policy, RUNS_TWICE};

/// Far longer than any of these takes.
const PATIENCE: Duration = Duration::from_secs(900);

#[test]
fn nothing_breaks_in_any_order_of_what_can_happen() {
    for (_, policy) in Policy::ALL {
        let mut seen = Vec::new();
        for words in SHORT {
            let words = format!("{policy} {words}");
            let report = runs::check(runs::setup(&words), PATIENCE);
            println!("{words}: {report}");
            assert!(report.exhaustive, "{words}: {report}");
            seen.extend(report.seen);
        }
        for wanted in [COMPLETES, RUNS_TWICE, IS_TAKEN_OVER, IS_RECORDED_LATE] {
            assert!(seen.contains(&wanted), "{policy}: {wanted}");
        }
    }
}

#[test]
fn without_a_rule_of_the_caller_something_breaks() {
    for (words, broken, depth) in WITHOUT {
        let report = runs::hunt(runs::setup(words), *broken, PATIENCE);
        println!("{words}: {report}");
        let found = report.broken.unwrap_or_else(|| panic!("{words}: nothing breaks"));
        assert_eq!(found.depth, *depth, "{words}");
    }
}

/// Where the store doesn't park, a caller that parks behind its takeover does, and nothing breaks: one of the two is enough.
#[test]
fn a_caller_that_parks_is_enough() {
    let words = "park calls=1 lease=2 crash=1 retry=1 cancel=1 without=store-parks";
    let report = runs::check(runs::setup(words), PATIENCE);
    assert!(report.exhaustive, "{report}");
}
