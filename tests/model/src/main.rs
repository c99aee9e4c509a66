//! Runs the model. README.md says how.

use std::process::ExitCode;
use std::time::Duration;

use idem_model::runs::{self, LONG, Report, SHORT};
use idem_model::{Broken, Policy};

const USAGE: &str = "\
cargo run                    every long run, under each policy
cargo run -- short           those of CI
cargo run -- run WORDS       one run: `park workers=3 calls=1 lease=2 crash=1`
cargo run -- hunt N WORDS    the shortest way to one thing that must never be, by its number
cargo run -- list            these things, with their numbers";

/// As long as a night.
const PATIENCE: Duration = Duration::from_secs(8 * 60 * 60);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => all(LONG),
        ["short"] => all(SHORT),
        ["run", words @ ..] => shown(&words.join(" "), &runs::check(runs::setup(&words.join(" ")), PATIENCE)),
        ["hunt", number, words @ ..] => {
            let found = number.parse().ok().and_then(|number: usize| Broken::ALL.get(number));
            let Some((wanted, _)) = found else { return usage() };
            shown(&words.join(" "), &runs::hunt(runs::setup(&words.join(" ")), *wanted, PATIENCE))
        }
        ["list"] => {
            Broken::ALL.iter().enumerate().for_each(|(number, (_, text))| println!("{number:>2} {text}"));
            ExitCode::SUCCESS
        }
        _ => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

fn all(list: &[&str]) -> ExitCode {
    let mut outcome = ExitCode::SUCCESS;
    for words in list {
        for (_, policy) in Policy::ALL {
            let words = format!("{policy} {words}");
            if shown(&words, &runs::check(runs::setup(&words), PATIENCE)) == ExitCode::FAILURE {
                outcome = ExitCode::FAILURE;
            }
        }
    }
    outcome
}

/// Shows a report, and whether every state was seen and nothing is broken.
fn shown(words: &str, report: &Report) -> ExitCode {
    println!("{words}: {report}");
    if report.exhaustive { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
