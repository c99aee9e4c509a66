//! How a protected handler is measured.

use std::hint::black_box;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::alloc;
use crate::handler::{Async, Sync_};

/// What is called with what.
#[derive(Clone, Debug)]
pub struct Load {
    /// Keys that are new.
    pub new: &'static [String],
    /// The same, in another order.
    pub again: &'static [String],
}

/// One round of one handler.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Nanoseconds a first execution, for each thread.
    pub new_ns: f64,
    /// Nanoseconds a replay, for each thread.
    pub replay_ns: f64,
    /// Allocations a first execution; on one thread only.
    pub new_allocs: f64,
    /// Allocations a replay; on one thread only.
    pub replay_allocs: f64,
    /// Bytes that are kept for each key; on one thread only.
    pub bytes: f64,
}

/// Which of the two is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// First executions.
    New,
    /// Replays.
    Replay,
}

/// What an instruction counter looks at: nothing but what is below this function.
#[inline(never)]
pub fn measured<T>(work: impl FnOnce() -> T) -> T {
    work()
}

fn runtime(threads: usize) -> Runtime {
    match threads {
        1 => Builder::new_current_thread().enable_all().build().unwrap(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap(),
    }
}

fn each(elapsed: Duration, calls: usize, threads: usize) -> f64 {
    elapsed.as_secs_f64() * 1e9 * threads as f64 / calls as f64
}

fn call_sync<H: Sync_>(handler: &H, keys: &[String]) {
    for key in keys {
        black_box(handler.call(black_box(key)).unwrap());
    }
}

async fn call_async<H: Async>(handler: &H, keys: &[String]) {
    for key in keys {
        black_box(handler.call(black_box(key)).await.unwrap());
    }
}

fn spread_sync<H: Sync_>(handler: &H, keys: &'static [String], threads: usize) -> Duration {
    if threads == 1 {
        let started = Instant::now();
        measured(|| call_sync(handler, keys));
        return started.elapsed();
    }
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in keys.chunks(keys.len().div_ceil(threads)) {
            scope.spawn(move || call_sync(handler, part));
        }
    });
    started.elapsed()
}

fn spread_async<H: Async>(runtime: &Runtime, handler: &H, keys: &'static [String], threads: usize) -> Duration {
    let started = Instant::now();
    if threads == 1 {
        measured(|| runtime.block_on(call_async(handler, keys)));
        return started.elapsed();
    }
    runtime.block_on(async {
        let tasks: Vec<_> = keys
            .chunks(keys.len().div_ceil(threads))
            .map(|part| {
                let handler = handler.clone();
                tokio::spawn(async move { call_async(&handler, part).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    started.elapsed()
}

fn sample(load: &Load, threads: usize, mut spread: impl FnMut(&'static [String]) -> Duration, before: i64) -> Sample {
    let at_first = alloc::allocations();
    let new = spread(load.new);
    let after_new = alloc::allocations();
    let bytes = alloc::live() - before;
    let replay = spread(load.again);
    let after_replay = alloc::allocations();
    let calls = load.new.len();
    Sample {
        new_ns: each(new, calls, threads),
        replay_ns: each(replay, calls, threads),
        new_allocs: (after_new - at_first) as f64 / calls as f64,
        replay_allocs: (after_replay - after_new) as f64 / calls as f64,
        bytes: bytes as f64 / calls as f64,
    }
}

/// A round of a sync handler.
pub fn round_sync<H: Sync_>(load: &Load, threads: usize) -> Sample {
    let before = alloc::live();
    let handler = H::fresh();
    let sample = sample(load, threads, |keys| spread_sync(&handler, keys, threads), before);
    runtime(1).block_on(handler.forget());
    sample
}

/// A round of an async handler.
pub fn round_async<H: Async>(load: &Load, threads: usize) -> Sample {
    let runtime = runtime(threads);
    let before = alloc::live();
    let handler = {
        let _entered = runtime.enter();
        H::fresh()
    };
    let sample = sample(load, threads, |keys| spread_async(&runtime, &handler, keys, threads), before);
    runtime.block_on(handler.forget());
    sample
}

/// Only what is to be counted happens below [`measured`], in a store that is half full already.
pub fn count_sync<H: Sync_>(load: &Load, phase: Phase) {
    let handler = H::fresh();
    let (before, counted) = halves(load, phase);
    call_sync(&handler, before);
    measured(|| call_sync(&handler, counted));
}

/// Likewise.
pub fn count_async<H: Async>(load: &Load, phase: Phase) {
    let runtime = runtime(1);
    let handler = {
        let _entered = runtime.enter();
        H::fresh()
    };
    let (before, counted) = halves(load, phase);
    runtime.block_on(call_async(&handler, before));
    measured(|| runtime.block_on(call_async(&handler, counted)));
}

fn halves(load: &Load, phase: Phase) -> (&'static [String], &'static [String]) {
    let (first, second) = load.new.split_at(load.new.len() / 2);
    match phase {
        Phase::New => (first, second),
        Phase::Replay => (load.new, load.again),
    }
}

/// The median.
pub fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    match of.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => of[n / 2],
        n => (of[n / 2 - 1] + of[n / 2]) / 2.0,
    }
}
