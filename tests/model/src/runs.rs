//! The runs: what is checked, and how.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::model::{HOLDS, Protocol};
use crate::setup::{Policy, Setup};
use crate::truth::{Broken, Flags};

/// What tests/run and CI check, under each policy: two workers, one key, and each fault once.
pub const SHORT: &[&str] = &[
    "calls=2 lease=1 crash=1 error=1 ttl=1 purge=1",
    "calls=2 lease=1 retry=1 cancel=1",
    "calls=2 lease=1 give-up=1 late=1 ttl=1",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 error=1 ttl=1 purge=1",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 error=1 ttl=1 purge=1 short-ttl",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 renew=1",
    "calls=1 lease=1 crash=1 retry=1 keep=1 skip=1",
    "calls=2 lease=1 crash=1 cancel=1 skip=1",
    "calls=1 lease=1 retry=1 cancel=1 error=1 renew=1 skip=1",
    "calls=1 lease=1 crash=1 retry=1 purge=2 back=1",
    "calls=1 lease=1 crash=1 retry=1 purge=1 life=1",
    "calls=1 lease=1 retry=1 cancel=1 wait=2",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 error=1 ttl=1 fingerprints",
    "calls=1 lease=1 crash=1 cancel=1 ttl=1 operator=2",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 purge=1 tx=1",
];

/// What is checked by hand, under each policy.
pub const LONG: &[&str] = &[
    "calls=2 lease=1 crash=1 retry=1 cancel=1 error=1 ttl=1 purge=1",
    "calls=2 lease=2 crash=2 retry=1",
    "calls=2 lease=1 crash=1 retry=1 renew=1 keep=1",
    "calls=2 lease=1 crash=1 error=1 purge=2 back=1",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 ttl=1 purge=1 operator=2",
    "calls=1 lease=1 crash=1 retry=1 cancel=1 error=1 ttl=1 purge=1 tx=1",
    "workers=3 calls=1 lease=1 crash=1 cancel=1 error=1",
    "workers=3 calls=1 lease=1 crash=1 cancel=1 skip=1",
    "workers=3 calls=1 lease=2 crash=1 retry=1",
    "workers=3 calls=1 lease=1 retry=1 cancel=1 ttl=1 purge=1",
];

/// A run without a rule of the caller, what breaks, and by how many steps.
pub const WITHOUT: &[(&str, Broken, usize)] = &[
    ("rerun calls=1 without=owner-per-call", Broken::TwoBodiesOfOneFence, 9),
    ("rerun calls=1 cancel=1 without=leaver-says-not-run", Broken::Phantom, 6),
    ("rerun calls=1 lease=1 retry=1 without=unanswered-claims-count", Broken::Phantom, 11),
    ("rerun calls=1 lease=1 without=late-grant-is-discarded", Broken::TwoBodiesAtOnce, 7),
    ("reconcile calls=1 lease=2 crash=1 without=late-grant-is-discarded", Broken::RunsAgainUnreconciled, 11),
    ("reconcile calls=1 lease=2 crash=1 without=lease-is-seen-again", Broken::RunsAgainUnreconciled, 18),
    ("rerun calls=1 cancel=1 without=ending-survives-drop", Broken::OutcomeLost, 9),
    ("reconcile calls=2 lease=1 crash=1 error=1 without=reconcile-error-is-not-run", Broken::RunsAgainUnreconciled, 13),
    ("park calls=1 cancel=1 skip=1 without=ending-survives-drop", Broken::ParkedWithoutDoubt, 10),
    ("rerun calls=2 lease=1 crash=1 skip=1 without=skip-is-not-run", Broken::WrongPrevious, 12),
    ("rerun calls=1 keep=1 without=keep-ends-heartbeat", Broken::Stuck, 7),
    ("rerun calls=1 lease=1 retry=1 purge=1 without=repeats-end-in-time", Broken::Phantom, 13),
];

/// A run, as the words say.
///
/// # Panics
///
/// If a word says nothing.
pub fn setup(words: &str) -> Setup {
    Setup::new(Policy::Rerun).with(words).unwrap_or_else(|unknown| panic!("{words}: {unknown}"))
}

/// What a run has found.
pub struct Report {
    /// States that differ.
    pub states: usize,
    /// The most steps that lead to a state.
    pub depth: usize,
    /// Whether every state was seen.
    pub exhaustive: bool,
    pub took: Duration,
    /// What is broken, and the way there.
    pub broken: Option<Violation>,
    /// What has to happen somewhere, and did.
    pub seen: Vec<&'static str>,
}

/// A way to a state in which something is broken.
pub struct Violation {
    pub what: Vec<&'static str>,
    /// How many steps lead there.
    pub depth: usize,
    pub story: String,
}

/// Looks for everything that could be broken, in every state.
pub fn check(setup: Setup, patience: Duration) -> Report {
    run(setup, Flags::ALL, threads(), patience)
}

/// Looks for one thing until it is found, by the shortest way.
pub fn hunt(setup: Setup, wanted: Broken, patience: Duration) -> Report {
    run(setup, Flags::only(wanted), 1, patience)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn run(setup: Setup, wanted: Flags, threads: usize, patience: Duration) -> Report {
    let started = Instant::now();
    let until = HasDiscoveries::AnyOf([HOLDS].into());
    let checker = Protocol::new(setup, wanted).checker().threads(threads).timeout(patience).finish_when(until);
    let checker = checker.spawn_bfs().join();
    let took = started.elapsed();
    let mut discoveries = checker.discoveries();
    let broken = discoveries.remove(HOLDS).map(|path| {
        let what = path.last_state().truth.broken.texts().collect();
        let path = path.into_vec();
        Violation { what, depth: path.len() - 1, story: checker.model().tell(&path) }
    });
    let mut seen: Vec<_> = discoveries.into_keys().collect();
    seen.sort_unstable();
    let exhaustive = took < patience && broken.is_none();
    Report { states: checker.unique_state_count(), depth: checker.max_depth(), exhaustive, took, broken, seen }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, depth, exhaustive, took, broken, seen } = self;
        let extent = if *exhaustive { "exhaustive" } else { "cut off" };
        match broken {
            None => write!(f, "{states} states, depth {depth}, {extent}, {took:.1?}: holds; seen: {}", seen.join(", ")),
            Some(violation) => {
                let Violation { what, depth, story } = violation;
                write!(f, "{states} states, {took:.1?}: {}, by {depth} steps\n{story}", what.join("; "))
            }
        }
    }
}
