//! The differential case. It runs random sequences of operations on one key on the store and on the state machine,
//! [`protocol::step`](crate::protocol::step), and compares the answers.

mod model;
mod play;
mod program;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use self::play::{Timing, play};
use self::program::Program;
use super::bench::{Bench, Settings};
use super::case::Case;
use super::run::{self, Job};
use super::verdict::{Mismatch, Stop, Verdict};

pub(super) const CASES: &[Case] = &[Case {
    name: NAME,
    stands_for: "the whole state machine: random sequences answer as `protocol::step` does",
    run: |bench| Box::pin(answers_as_the_state_machine(bench)),
}];

const NAME: &str = "answers_as_the_state_machine";

/// How many sequences run at the same time, each on a key of its own. They sleep most of the time.
const SIDE_BY_SIDE: usize = 64;

/// How long to search for a shorter sequence that fails.
const SHRINKING: Duration = Duration::from_secs(5);

/// The runner that draws sequence `number`. It draws the same sequence each time.
fn runner(settings: Settings, number: u64) -> TestRunner {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&settings.seed.to_be_bytes());
    seed[8..16].copy_from_slice(&number.to_be_bytes());
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// The sequence, as proptest draws and shrinks it.
fn draw(runner: &mut TestRunner, admin: bool) -> Option<impl ValueTree<Value = Program> + use<>> {
    program::programs(admin).new_tree(runner).ok()
}

async fn answers_as_the_state_machine(bench: Bench) -> Verdict {
    let settings = bench.differential;
    let timing = Timing::of(bench.short);
    let admin = bench.admin().is_ok();
    let (started, next) = (Instant::now(), AtomicU64::new(0));
    let found: Mutex<Option<(u64, Program, Mismatch)>> = Mutex::new(None);
    let workers = (0..SIDE_BY_SIDE).map(|_| {
        let (bench, next, found) = (&bench, &next, &found);
        let worker: Job<'_, Verdict> = Box::pin(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let enough = number >= settings.sequences || started.elapsed() > settings.at_most;
                if enough || found.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return Ok(());
                }
                let Some(program) = draw(&mut runner(settings, number), admin).map(|tree| tree.current()) else {
                    continue;
                };
                match play(bench, timing, &program).await {
                    Ok(()) => {}
                    Err(Stop::Skipped) => return Err(Stop::Skipped),
                    Err(Stop::Failed(mismatch)) => {
                        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                        // Keeps the sequence that can be shrunk fastest.
                        if found.as_ref().is_none_or(|(_, other, _)| program.pauses() < other.pauses()) {
                            *found = Some((number, program, mismatch));
                        }
                    }
                }
            }
        });
        worker
    });
    run::all(workers.collect()).await.into_iter().collect::<Verdict>()?;
    match found.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(()),
        Some((number, _, mismatch)) => Err(Stop::Failed(shrunk(&bench, timing, number, admin, mismatch).await?)),
    }
}

/// The failure of the shortest sequence that was found, begun with sequence `number`. It runs on a thread of its own,
/// because proptest shrinks synchronously.
async fn shrunk(bench: &Bench, timing: Timing, number: u64, admin: bool, first: Mismatch) -> Verdict<Mismatch> {
    let (settings, playing) = (bench.differential, bench.clone());
    let shortest = run::on_thread(move |runtime| {
        let last = Mutex::new(first);
        let mut runner = runner(settings, number);
        if let Some(tree) = draw(&mut runner, admin) {
            let started = Instant::now();
            let _ = runner.run_one(tree, |program| {
                // The time is over: no other sequence is tried, and the last failure is reported.
                if started.elapsed() > SHRINKING {
                    return Ok(());
                }
                match runtime.block_on(play(&playing, timing, &program)) {
                    Err(Stop::Failed(mismatch)) => {
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = mismatch;
                        Err(TestCaseError::fail("it fails"))
                    }
                    Ok(()) | Err(Stop::Skipped) => Ok(()),
                }
            });
        }
        last.into_inner().unwrap_or_else(PoisonError::into_inner)
    })?;
    let mut mismatch = shortest.await.map_err(|_| Stop::Skipped)?;
    mismatch.step =
        format!("sequence {number} of seed {}, made as short as possible:\n{}", settings.seed, mismatch.step);
    Ok(mismatch)
}
