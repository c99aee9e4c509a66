//! In memory: first executions and replays, on one thread and on two, async and sync, against the peers.
//!
//! `cargo bench --ignore-rust-version --bench memory [-- FILTER]`. `IDEM_KEYS` (1,000,000), `IDEM_KEYS_2` (the same, for
//! two threads; 300,000) and `IDEM_ROUNDS` (5) make it shorter or longer.

use std::process::Command;

use idem_benches::handler::{Json, MessagePack, Postcard, keys, shuffled};
use idem_benches::peers::{
    Bare, Cached, CachedConcurrent, Dash, Erased, Idempotent, Moka, MokaAsync, Ours, Sharded, ShardedLeases,
};
use idem_benches::rounds::{Load, Phase, Sample, count_async, count_sync, median, round_async, round_sync};

/// How many keys an instruction counter sees.
const COUNTED: usize = 20_000;

struct Subject {
    name: &'static str,
    is_async: bool,
    round: fn(&Load, usize) -> Sample,
    count: fn(&Load, Phase),
}

macro_rules! subjects {
    ($($kind:ident $name:expr, $handler:ty;)*) => { vec![$(subjects!(@ $kind $name, $handler)),*] };
    (@ sync $name:expr, $handler:ty) => {
        Subject { name: $name, is_async: false, round: round_sync::<$handler>, count: count_sync::<$handler> }
    };
    (@ async $name:expr, $handler:ty) => {
        Subject { name: $name, is_async: true, round: round_async::<$handler>, count: count_async::<$handler> }
    };
}

const OURS: &str = "`#[idempotent]`, `MemoryStore`";
const BY_HAND: &str = "by hand: sharded hashbrown, MessagePack";
const CACHED: &str = "`#[cached]` 4.1";
const IDEMPOTENT: &str = "crate `idempotent` 2.0";

fn subjects() -> Vec<Subject> {
    subjects! {
        async "unprotected", Bare;
        async OURS, Ours;
        async "`#[idempotent]`, `AnyStore` of it", Erased;
        async BY_HAND, Sharded<MessagePack>;
        async "by hand: the same, Postcard", Sharded<Postcard>;
        async "by hand: the same, JSON", Sharded<Json>;
        async "by hand: the same, with lease and ttl", ShardedLeases;
        async "by hand: dashmap", Dash;
        async "by hand: moka", MokaAsync;
        async CACHED, Cached;
        async "`#[concurrent_cached]` 4.1", CachedConcurrent;
        async IDEMPOTENT, Idempotent;
        sync "unprotected", Bare;
        sync OURS, Ours;
        sync "`#[idempotent]`, `AnyStore` of it", Erased;
        sync BY_HAND, Sharded<MessagePack>;
        sync "by hand: the same, Postcard", Sharded<Postcard>;
        sync "by hand: the same, JSON", Sharded<Json>;
        sync "by hand: the same, with lease and ttl", ShardedLeases;
        sync "by hand: dashmap", Dash;
        sync "by hand: moka", Moka;
        sync CACHED, Cached;
        sync "`#[concurrent_cached]` 4.1", CachedConcurrent;
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.replace('_', "").parse().ok()).unwrap_or(default)
}

fn load(many: usize) -> Load {
    let new = keys(many).leak();
    Load { new, again: shuffled(new).leak() }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut subjects = subjects();
    if let [flag, index, phase] = &args[..]
        && flag == "--count"
    {
        let phase = if phase == "new" { Phase::New } else { Phase::Replay };
        let many = if phase == Phase::New { 2 * COUNTED } else { COUNTED };
        let subject = &subjects[index.parse::<usize>().unwrap()];
        (subject.count)(&load(many), phase);
        return;
    }
    if args.iter().any(|arg| arg == "--test") {
        return;
    }

    let instructions: Vec<[Option<f64>; 2]> =
        (0..subjects.len()).map(|at| [count(at, "new"), count(at, "replay")]).collect();
    let rounds = setting("IDEM_ROUNDS", 5);
    let (one, two) = (load(setting("IDEM_KEYS", 1_000_000)), load(setting("IDEM_KEYS_2", 300_000)));
    let mut samples: Vec<[Vec<Sample>; 2]> = subjects.iter().map(|_| [Vec::new(), Vec::new()]).collect();
    for round in 0..rounds {
        for (subject, samples) in subjects.iter_mut().zip(&mut samples) {
            samples[0].push((subject.round)(&one, 1));
            samples[1].push((subject.round)(&two, 2));
        }
        eprintln!("round {} of {rounds}", round + 1);
    }

    let rows: Vec<Row> = subjects
        .iter()
        .zip(&samples)
        .zip(instructions)
        .map(|((subject, [one, two]), instructions)| Row::new(subject, one, two, instructions))
        .collect();
    println!("\n## Memory: {} keys on one thread, {} on two, {rounds} rounds\n", one.new.len(), two.new.len());
    print(&rows);
    targets(&rows);
}

/// Instructions a call, as callgrind counts them; `None` where there is no valgrind.
///
/// A clock is a system call under valgrind, and not counted: about 50 instructions each are missing.
fn count(subject: usize, phase: &str) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(std::env::current_exe().ok()?)
        .args(["--count", &subject.to_string(), phase])
        .output()
        .ok()?;
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let collected = report.lines().find_map(|line| line.split_once("Collected : "))?.1.trim();
    Some(collected.parse::<f64>().ok()? / COUNTED as f64)
}

struct Row {
    name: &'static str,
    is_async: bool,
    one: Sample,
    two: Sample,
    instructions: [Option<f64>; 2],
}

impl Row {
    fn new(subject: &Subject, one: &[Sample], two: &[Sample], instructions: [Option<f64>; 2]) -> Self {
        let middle = |samples: &[Sample]| {
            let of = |field: fn(&Sample) -> f64| median(samples.iter().map(field).collect());
            Sample {
                new_ns: of(|sample| sample.new_ns),
                replay_ns: of(|sample| sample.replay_ns),
                new_allocs: of(|sample| sample.new_allocs),
                replay_allocs: of(|sample| sample.replay_allocs),
                bytes: of(|sample| sample.bytes),
            }
        };
        Self { name: subject.name, is_async: subject.is_async, one: middle(one), two: middle(two), instructions }
    }
}

fn print(rows: &[Row]) {
    println!(
        "| | new: ns | instr. | allocs | replay: ns | instr. | allocs | 2 threads: new ns | replay ns | bytes per key |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        let Row { name, is_async, one, two, instructions } = row;
        let kind = if *is_async { "async" } else { "sync" };
        let [new, replay] = instructions.map(|count| count.map_or("n/a".to_owned(), |count| format!("{count:.0}")));
        println!(
            "| {kind}, {name} | {:.0} | {new} | {:.2} | {:.0} | {replay} | {:.2} | {:.0} | {:.0} | {:.0} |",
            one.new_ns, one.new_allocs, one.replay_ns, one.replay_allocs, two.new_ns, two.replay_ns, one.bytes
        );
    }
}

fn targets(rows: &[Row]) {
    let find = |name: &str, is_async: bool| rows.iter().find(|row| row.name == name && row.is_async == is_async);
    println!("\n| target | reach | measured | |");
    println!("|---|---|---|---|");
    let line = |what: String, reach: String, measured: f64, met: bool| {
        println!("| {what} | {reach} | {measured:.2} | {} |", if met { "met" } else { "**missed**" });
    };
    let at_most = |what: String, limit: f64, measured: f64| {
        line(what, format!("at most {limit}"), measured, measured <= limit);
    };
    let at_least = |what: String, limit: f64, measured: f64| {
        line(what, format!("at least {limit}"), measured, measured >= limit);
    };
    for (is_async, kind) in [(true, "async"), (false, "sync")] {
        let (Some(ours), Some(by_hand), Some(bare)) =
            (find(OURS, is_async), find(BY_HAND, is_async), find("unprotected", is_async))
        else {
            continue;
        };
        at_most(format!("{kind}: a replay, in times of by hand"), 1.25, ours.one.replay_ns / by_hand.one.replay_ns);
        at_most(format!("{kind}: ... on two threads"), 1.25, ours.two.replay_ns / by_hand.two.replay_ns);
        at_most(format!("{kind}: a first execution, in times of by hand"), 1.5, ours.one.new_ns / by_hand.one.new_ns);
        at_most(format!("{kind}: ... on two threads"), 1.5, ours.two.new_ns / by_hand.two.new_ns);
        let own = |sample: fn(&Sample) -> f64| sample(&ours.one) - sample(&bare.one);
        at_most(format!("{kind}: allocations of its own, a replay"), 0.0, own(|sample| sample.replay_allocs));
        at_most(format!("{kind}: ... a first execution"), 2.0, own(|sample| sample.new_allocs));
        at_most(format!("{kind}: bytes per key"), 170.0, ours.one.bytes);
    }
    if let (Some(ours), Some(idempotent), Some(cached)) = (find(OURS, true), find(IDEMPOTENT, true), find(CACHED, true))
    {
        let faster = |field: fn(&Row) -> f64, than: &Row| field(than) / field(ours);
        at_least("times as fast as `idempotent`, new".into(), 3.0, faster(|row| row.one.new_ns, idempotent));
        at_least("... replay".into(), 3.0, faster(|row| row.one.replay_ns, idempotent));
        at_least("times as fast as async `#[cached]`, new".into(), 1.0, faster(|row| row.one.new_ns, cached));
        at_least("... replay".into(), 1.0, faster(|row| row.one.replay_ns, cached));
        at_least("... new, two threads".into(), 5.0, faster(|row| row.two.new_ns, cached));
        at_least("... replay, two threads".into(), 5.0, faster(|row| row.two.replay_ns, cached));
    }
}
