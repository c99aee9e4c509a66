//! Runs the model: `good`, `more`, `without`, or all of them; then the seconds that each run may take.

use std::time::Duration;

use idem_model::runs::{self, MORE, WITHOUT};
use idem_model::{Policy, Setup};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_else(|| "all".to_owned());
    let seconds = arguments.next().and_then(|seconds| seconds.parse().ok()).unwrap_or(600);
    let patience = Duration::from_secs(seconds);
    let wants = |name| what == name || what == "all";
    for policy in Policy::ALL.into_iter().filter(|_| wants("good")) {
        println!("{policy:?}: {}", runs::check(Setup::new(policy), patience));
    }
    for (name, change) in MORE.iter().filter(|_| wants("more")) {
        for policy in Policy::ALL {
            let mut setup = Setup::new(policy);
            change(&mut setup);
            println!("{policy:?}, with {name}: {}", runs::check(setup, patience));
        }
    }
    for run in WITHOUT.iter().filter(|_| wants("without")) {
        let mut setup = Setup::new(run.policy);
        (run.change)(&mut setup);
        let report = match run.breaks {
            Some(broken) => runs::hunt(setup, broken, patience),
            None => runs::check(setup, patience),
        };
        println!("{:?}, without: {}: {report}", run.policy, run.rule);
    }
}
