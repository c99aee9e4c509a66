//! Each subject, in many orders of its threads' steps. README.md says how to try more of them, and how to repeat one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idem_runtime::subjects;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// How many orders each scheduler tries in CI.
const ORDERS: usize = 5_000;

/// How many times at most the second scheduler lets a thread overtake.
const DEPTH: usize = 4;

/// The library has statics, which two subjects at a time would share.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn run(scheduler: impl Scheduler + 'static, seconds: Option<u64>, subject: fn()) -> usize {
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.max_time = seconds.map(Duration::from_secs);
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || {
        subjects::begin();
        subject();
    })
}

/// In CI the same orders each time; for `IDEM_SHUTTLE_SECONDS` others each time.
fn check(subject: fn()) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = number("IDEM_SHUTTLE_SECONDS");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("IDEM_SHUTTLE_SEED").unwrap_or_else(|| seconds.map_or(1, |_| now()));
    let orders = if seconds.is_some() { usize::MAX } else { ORDERS };
    println!("IDEM_SHUTTLE_SEED={seed}");
    let random = run(RandomScheduler::new_from_seed(seed, orders), seconds, subject);
    println!("{random} random orders");
    let pct = run(PctScheduler::new_from_seed(seed, DEPTH, orders), seconds, subject);
    println!("{pct} orders by priorities");
}

macro_rules! subjects {
    ($($subject:ident),* $(,)?) => {$(
        #[test]
        fn $subject() {
            check(subjects::$subject);
        }
    )*};
}

subjects! {
    each_request_is_answered_once,
    a_caller_that_goes_hands_its_lane_on,
    each_sync_body_has_its_heartbeat,
    who_waits_for_a_key_is_woken,
    what_a_runtime_dropped_begins_again,
    what_had_ended_is_settled,
    a_dropped_call_leaves_its_key,
}
