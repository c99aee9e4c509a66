//! The runs: the protocol, with more of what can go wrong, and with one rule less.

use std::fmt;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::model::Protocol;
use crate::setup::{Budget, Policy, Setup};
use crate::state::Broken;

/// A change to a run.
pub type Change = fn(&mut Setup);

/// What more can go wrong: each is run under each policy, and nothing breaks.
pub const MORE: &[(&str, Change)] = &[
    ("a completion that goes on in the background", late),
    ("the same, while leases end twice", |run| {
        late(run);
        (run.budget.lease, run.budget.crash, run.budget.retry) = (2, 0, 0);
    }),
    ("renewals", |run| (run.budget.renew, run.budget.cancel) = (1, 0)),
    ("three workers, one call each", |run| (run.workers, run.calls) = (3, 1)),
    ("two fingerprints", |run| (run.two_fingerprints, run.budget.cancel) = (true, 0)),
    ("callers that give up", |run| (run.budget.give_up, run.budget.cancel, run.budget.ttl) = (1, 0, 0)),
    ("keep", |run| (run.budget.keep, run.budget.cancel, run.budget.ttl) = (1, 0, 0)),
    ("an operator", operator),
    ("an operator who speaks twice", operator_twice),
    ("two keys", |run| (run.two_keys, run.budget.sweep, run.budget.cancel) = (true, 0, 0)),
    ("two leases end, and two processes die", |run| {
        run.budget = Budget { lease: 2, crash: 2, cancel: 0, ttl: 0, sweep: 0, ..run.budget };
    }),
];

/// The caller of a completion gives up, and the background goes on while redeliveries run.
fn late(run: &mut Setup) {
    run.budget = Budget { give_up: 1, late: 2, cancel: 0, error: 0, crash: 0, ..run.budget };
}

fn operator(run: &mut Setup) {
    run.budget = Budget { admin: 1, cancel: 0, ttl: 0, error: 0, ..run.budget };
}

fn operator_twice(run: &mut Setup) {
    operator(run);
    (run.budget.admin, run.budget.sweep) = (2, 0);
}

/// A rule that is taken away, and what breaks then; `None`: nothing does.
pub struct Without {
    pub rule: &'static str,
    pub policy: Policy,
    pub breaks: Option<Broken>,
    pub change: Change,
}

const fn without(rule: &'static str, policy: Policy, breaks: Broken, change: Change) -> Without {
    Without { rule, policy, breaks: Some(breaks), change }
}

/// Each rule, taken away.
pub const WITHOUT: &[Without] = &[
    without("an owner for each call", Policy::Rerun, Broken::TwoBodiesOfOneFence, |run| {
        // The other call's answer looks late to the model, which goes by who was granted the key.
        (run.rules.owner_per_call, run.rules.late_grant_is_discarded) = (false, false);
    }),
    without("ended owners are remembered", Policy::Rerun, Broken::Phantom, |run| run.rules.slots = 0),
    without("more than the row's own owner is remembered", Policy::Rerun, Broken::Phantom, |run| run.rules.slots = 1),
    without("more than two owners are remembered", Policy::Rerun, Broken::Phantom, |run| run.rules.slots = 2),
    without("a failure keeps the row", Policy::Rerun, Broken::Phantom, |run| {
        run.rules.failure_keeps_row = false;
        run.budget.cancel = 0;
    }),
    without("fences survive a deletion", Policy::Rerun, Broken::FenceDoesNotGrow, |run| {
        run.rules.fence_survives = false;
        run.budget.cancel = 0;
    }),
    without("a sweep spares orphans", Policy::Park, Broken::ParkedRunsAgain, |run| {
        run.rules.sweep_spares_orphans = false;
    }),
    without("who gives up says `NotRun`", Policy::Park, Broken::ParkedWithoutDoubt, |run| {
        run.rules.leaver_says_not_run = false;
        (run.budget.give_up, run.budget.cancel, run.budget.retry) = (1, 0, 0);
    }),
    without("`NotRun` refuses its claim", Policy::Rerun, Broken::Phantom, |run| {
        run.rules.not_run_refuses_claim = false;
    }),
    without("doubt survives `NotRun`", Policy::Reconcile, Broken::RunsAgainUnreconciled, |run| {
        run.rules.doubt_survives_not_run = false;
    }),
    without("a repeat is told the same", Policy::Reconcile, Broken::RunsAgainUnreconciled, |run| {
        run.rules.repeat_is_told_the_same = false;
    }),
    without("a completion is an update", Policy::Rerun, Broken::ZombieEnds, |run| {
        (run.rules.completion_is_update, run.rules.linger) = (false, false);
    }),
    without("a completion in the background is an update", Policy::Rerun, Broken::ZombieEnds, |run| {
        late(run);
        run.rules.completion_is_update = false;
    }),
    without("a completion repeats after its ttl", Policy::Rerun, Broken::RecordedIsLost, |run| {
        run.rules.completion_repeats_after_ttl = false;
    }),
    without("linger", Policy::Rerun, Broken::RecordedIsLost, |run| run.rules.linger = false),
    without("unknown is a state", Policy::Rerun, Broken::Phantom, |run| {
        run.rules.unknown_is_a_state = false;
        (run.budget.renew, run.budget.retry) = (1, 0);
    }),
    without("an ending survives a drop", Policy::Rerun, Broken::OutcomeLost, |run| {
        run.rules.ending_survives_drop = false;
        run.budget.retry = 0;
    }),
    without("a repeat keeps its fence", Policy::Rerun, Broken::RepeatHasAnotherFence, |run| {
        run.rules.repeat_keeps_fence = false;
    }),
    without(
        "an error of the reconcile function is `NotRun`",
        Policy::Reconcile,
        Broken::RunsAgainUnreconciled,
        |run| {
            run.rules.reconcile_error_is_not_run = false;
        },
    ),
    without("orphans have fingerprints", Policy::Rerun, Broken::OtherPayload, |run| {
        run.two_fingerprints = true;
        run.rules.fingerprint_of_orphans = false;
    }),
    without("keep ends the heartbeat", Policy::Rerun, Broken::Stuck, |run| {
        run.budget.keep = 1;
        run.rules.keep_ends_heartbeat = false;
    }),
    without("a late grant is discarded", Policy::Reconcile, Broken::RunsAgainUnreconciled, |run| {
        run.rules.late_grant_is_discarded = false;
    }),
    without("unanswered claims count", Policy::Rerun, Broken::Phantom, |run| {
        run.rules.unanswered_claims_count = false;
    }),
    without("forget keeps the row", Policy::Rerun, Broken::Phantom, |run| {
        run.rules.forget_keeps_row = false;
        (run.budget.admin, run.budget.cancel) = (1, 0);
    }),
    without("an operator's word raises the fence", Policy::Park, Broken::ZombieEnds, |run| {
        operator(run);
        run.rules.resolve_raises_fence = false;
    }),
    without("a resolution is marked", Policy::Park, Broken::RecordReplaced, |run| {
        operator(run);
        run.rules.resolution_is_marked = false;
    }),
    Without {
        rule: "a completed row is final",
        policy: Policy::Rerun,
        breaks: None,
        change: |run| {
            run.rules.done_is_final = false;
        },
    },
    Without {
        rule: "fences are checked",
        policy: Policy::Rerun,
        breaks: None,
        change: |run| {
            run.rules.fence_is_checked = false;
        },
    },
    Without {
        rule: "the store parks",
        policy: Policy::Park,
        breaks: None,
        change: |run| {
            run.rules.store_parks = false;
        },
    },
    Without {
        rule: "late endings count",
        policy: Policy::Rerun,
        breaks: None,
        change: |run| {
            run.rules.late_ending_counts = false;
        },
    },
];

/// What a run has found.
#[derive(Debug)]
pub struct Report {
    /// States that differ.
    pub states: usize,
    pub depth: usize,
    /// Whether every state was seen.
    pub exhaustive: bool,
    pub took: Duration,
    /// What is broken, and the shortest way there.
    pub broken: Vec<(&'static str, String)>,
    /// What has to happen somewhere, and did.
    pub seen: Vec<&'static str>,
}

/// Looks for everything that could be broken, in every state.
pub fn check(setup: Setup, patience: Duration) -> Report {
    let all = Broken::ALL.map(|(broken, _)| broken);
    run(setup, &all, HasDiscoveries::All, patience)
}

/// Looks for one thing until it is found.
pub fn hunt(setup: Setup, wanted: Broken, patience: Duration) -> Report {
    run(setup, &[wanted], HasDiscoveries::AnyOf([wanted.text()].into()), patience)
}

fn run(setup: Setup, wanted: &[Broken], until: HasDiscoveries, patience: Duration) -> Report {
    let started = Instant::now();
    let checker = Protocol::new(setup, wanted).checker().threads(2).timeout(patience).finish_when(until);
    let checker = checker.spawn_bfs().join();
    let took = started.elapsed();
    let wanted: Vec<_> = wanted.iter().map(|broken| broken.text()).collect();
    let (mut broken, mut seen) = (Vec::new(), Vec::new());
    for (name, path) in checker.discoveries() {
        if wanted.contains(&name) {
            broken.push((name, format!("{:?}", path.into_actions())));
        } else if Broken::ALL.iter().all(|(_, text)| *text != name) {
            seen.push(name);
        }
    }
    broken.sort_by_key(|(_, path)| path.len());
    seen.sort_unstable();
    Report {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        exhaustive: took < patience,
        took,
        broken,
        seen,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, depth, exhaustive, took, broken, seen } = self;
        let extent = if *exhaustive { "all" } else { "cut off" };
        write!(f, "{states} states, depth {depth}, {extent}, {took:.1?}: ")?;
        if broken.is_empty() {
            write!(f, "holds; seen: {}", seen.join(", "))?;
        }
        broken.iter().try_for_each(|(name, path)| write!(f, "\n  {name}: {path}"))
    }
}
