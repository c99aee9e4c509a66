//! `kill -9`: eight processes race over the keys of one SQLite file, and are killed one after the other at random points
//! and replaced. Each handler writes down what it does; at the end the log is checked line by line.
//!
//! `IDEM_KILL_SECONDS` says for how long, 20 unless set.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use idem_runtime::admin::Filter;
use idem_runtime::protocol::State;
use idem_runtime::{Claim, Error, IdempotencyStore, Outcome, Previous, SqliteStore, idempotent};
use idem_tests::journal::Journal;
use idem_tests::rng::Rng;

const WORKERS: usize = 8;
const KEYS: u64 = 1_000;
/// How often each key is delivered to each worker.
const DELIVERIES: u64 = 3;
const LEASE: Duration = Duration::from_millis(400);

/// The folder with the SQLite file and the log, which all processes share.
struct Log(Journal);

impl Log {
    fn open(directory: &Path) -> Self {
        Self(Journal::open(&directory.join("log")))
    }

    fn line(&self, kind: &str, key: &str, fence: u64, rest: &str) {
        self.0.line(format_args!("{kind} {key} {fence} {} {} {rest}", std::process::id(), monotonic_micros()));
    }
}

/// The machine's monotonic clock: all processes share it, and nobody can set it.
fn monotonic_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) }, 0);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

#[idempotent(key = "key", store = "store", scope = "kill", lease = "400ms", claim = "claim")]
async fn work(store: &SqliteStore, log: &Log, key: &str, takes: Duration) -> Result<Outcome<String>, Error> {
    let previous = match claim.previous() {
        Previous::AfterCrash { fence } => fence,
        _ => 0,
    };
    log.line("start", key, claim.fence(), &previous.to_string());
    tokio::time::sleep(takes).await;
    log.line("end", key, claim.fence(), "-");
    Ok(result_of(key, claim).into())
}

/// The result of a handler: it names the process that made it.
fn result_of(key: &str, claim: &Claim) -> String {
    format!("{key}:{}:{}", claim.fence(), std::process::id())
}

/// Delivers a message. Returns whether it has to be delivered again.
async fn deliver(store: &SqliteStore, log: &Log, key: &str, takes: Duration) -> bool {
    match work(store, log, key, takes).await {
        Ok(Outcome::Executed(result)) => log.line("executed", key, 0, &result),
        Ok(Outcome::Replayed(result)) => log.line("replayed", key, 0, &result),
        Ok(Outcome::Skipped(_)) => panic!("`work` skips nothing"),
        Err(Error::InProgress { .. }) => return true,
        Err(Error::LeaseLost { .. }) => {
            log.line("lost", key, 0, "-");
            return true;
        }
        Err(error) => {
            log.line("error", key, 0, &error.to_string());
            return error.is_retryable();
        }
    }
    false
}

/// Not a test of its own: the process of a worker.
#[tokio::test]
async fn worker() {
    let Some(directory) = std::env::var_os("IDEM_KILL_WORKER").map(PathBuf::from) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<u64>().unwrap();
    let (seed, takes) = (number("IDEM_KILL_SEED"), number("IDEM_KILL_TAKES"));
    let log = Log::open(&directory);
    let store = SqliteStore::open(directory.join("idem.sqlite")).await.unwrap();
    let mut rng = Rng::new(seed);
    let mut deliveries: Vec<u64> = (0..KEYS * DELIVERIES).map(|nth| nth % KEYS).collect();
    rng.shuffle(&mut deliveries);
    while let Some(number) = deliveries.pop() {
        let takes = Duration::from_micros(rng.below(2 * takes));
        if deliver(&store, &log, &format!("k{number}"), takes).await {
            // Delivered again at some later place, as a broker delays a message.
            let place = rng.below(deliveries.len() as u64 + 1) as usize;
            deliveries.insert(place, number);
            if deliveries.len() < 16 {
                tokio::time::sleep(LEASE / 4).await;
            }
        }
    }
}

fn start(directory: &Path, seed: u64, takes: Duration) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "worker", "--quiet"])
        .env("IDEM_KILL_WORKER", directory)
        .env("IDEM_KILL_SEED", seed.to_string())
        .env("IDEM_KILL_TAKES", takes.as_micros().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Kills the worker, and logs its end once it is dead. A worker that had ended by itself must have ended with success.
fn kill(log: &Log, mut worker: Child) -> bool {
    worker.kill().unwrap();
    let status = worker.wait().unwrap();
    assert!(status.success() || status.signal() == Some(libc::SIGKILL), "a worker failed: {status}");
    log.line("killed", "-", 0, &worker.id().to_string());
    !status.success()
}

#[tokio::test]
async fn r02_r13_killed_processes_lose_and_repeat_nothing() {
    let seconds = std::env::var("IDEM_KILL_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let run = Duration::from_secs(seconds);
    // Chosen so that about two thirds of the run are spent in handlers.
    let takes = run * WORKERS as u32 * 2 / 3 / KEYS as u32;
    let directory = tempfile::tempdir().unwrap();
    let log = Log::open(directory.path());
    let mut rng = Rng::new(seconds);
    let mut workers: Vec<_> = (0..WORKERS).map(|_| start(directory.path(), rng.number(), takes)).collect();
    let (mut kills, mut passes) = (0, 0);
    let deadline = Instant::now() + run;
    while Instant::now() < deadline {
        tokio::time::sleep(Duration::from_micros(rng.below(250_000))).await;
        let victim = rng.below(WORKERS as u64) as usize;
        let successor = start(directory.path(), rng.number(), takes);
        let was_killed = kill(&log, std::mem::replace(&mut workers[victim], successor));
        *if was_killed { &mut kills } else { &mut passes } += 1;
    }
    for worker in workers {
        kill(&log, worker);
    }

    // A last pass that nobody kills, and another that finds every key completed.
    let store = SqliteStore::open(directory.path().join("idem.sqlite")).await.unwrap();
    let done_before = store.admin().unwrap().stats().await.unwrap().completed;
    for number in 0..KEYS {
        while deliver(&store, &log, &format!("k{number}"), Duration::ZERO).await {
            tokio::time::sleep(LEASE / 8).await;
        }
    }
    let mut recorded = BTreeMap::new();
    for number in 0..KEYS {
        let key = format!("k{number}");
        match work(&store, &log, &key, Duration::ZERO).await.unwrap() {
            Outcome::Replayed(result) => recorded.insert(key, result),
            outcome => panic!("{key} was run again: {outcome:?}"),
        };
    }
    let entries = store.admin().unwrap().list(Filter::all().limit(usize::MAX)).await.unwrap();
    assert_eq!(entries.len() as u64, KEYS);
    assert!(entries.iter().all(|entry| entry.row.state == State::Done), "every key is completed");

    let log = std::fs::read_to_string(directory.path().join("log")).unwrap();
    let counts = check(&log, &recorded);
    println!(
        "{seconds} s: {kills} kills, {passes} passes finished, {done_before} keys completed before the final pass; \
         {counts:?}"
    );
    assert!(counts.takeovers > 0 && counts.takeovers_of_the_dead > 0, "keys were taken over: {counts:?}");
    assert!(counts.replays > KEYS as usize, "keys were replayed: {counts:?}");
    let connection = rusqlite::Connection::open(directory.path().join("idem.sqlite")).unwrap();
    let integrity: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(integrity, "ok");
}

/// What was counted in the log.
#[derive(Debug, Default)]
#[allow(dead_code, reason = "printed")]
struct Counts {
    starts: usize,
    executed: usize,
    replays: usize,
    takeovers: usize,
    /// Takeovers from a holder that was killed in its body.
    takeovers_of_the_dead: usize,
    /// Takeovers from a holder that was alive, but had not renewed for the length of its lease.
    takeovers_of_the_silent: usize,
    lost_leases: usize,
    store_errors: usize,
}

/// The last holder of a key whose body was started.
#[derive(Clone, Copy, Debug)]
struct Holder<'a> {
    fence: u64,
    process: &'a str,
    ended: bool,
}

/// Reads the log, in which each line is `kind key fence process time rest`, and panics at the first broken rule.
fn check(log: &str, recorded: &BTreeMap<String, String>) -> Counts {
    let mut counts = Counts::default();
    let mut holders: BTreeMap<&str, Holder<'_>> = BTreeMap::new();
    // Keys that are known to be completed: their own process says so, or a duplicate got the result. Either line can come first.
    let mut executed: BTreeSet<&str> = BTreeSet::new();
    let mut completed: BTreeSet<&str> = BTreeSet::new();
    let mut killed: BTreeSet<&str> = BTreeSet::new();
    for (nth, line) in log.lines().enumerate() {
        let fields: Vec<_> = line.splitn(6, ' ').collect();
        let &[kind, key, fence, process, _, rest] = fields.as_slice() else { panic!("line {nth}: {line}") };
        let fence: u64 = fence.parse().unwrap();
        match kind {
            "killed" => drop(killed.insert(rest)),
            "start" => {
                counts.starts += 1;
                assert!(!completed.contains(key), "line {nth}: {key} runs though it was completed");
                if let Some(earlier) = holders.get(key) {
                    assert!(fence > earlier.fence, "line {nth}: the fence of {key} fell from {}", earlier.fence);
                    // A fence is the time of its claim. If the claims are less than a lease apart, the earlier lease was not over.
                    let apart = Duration::from_micros(fence - earlier.fence);
                    assert!(apart >= LEASE, "line {nth}: {key} was taken over {apart:?} after {earlier:?} claimed it");
                    match killed.contains(earlier.process) {
                        true if !earlier.ended => counts.takeovers_of_the_dead += 1,
                        true => {}
                        false => counts.takeovers_of_the_silent += 1,
                    }
                    assert_ne!(rest, "0", "line {nth}: {key} was taken over without being told");
                }
                counts.takeovers += usize::from(rest != "0");
                holders.insert(key, Holder { fence, process, ended: false });
            }
            "end" => {
                // A holder that lost its lease may write this line too. It is not the last holder then, and can't complete.
                if let Some(holder) = holders.get_mut(key).filter(|holder| holder.fence == fence) {
                    assert_eq!(holder.process, process, "line {nth}: two holders have one fence");
                    holder.ended = true;
                }
            }
            "executed" => {
                counts.executed += 1;
                assert!(executed.insert(key), "line {nth}: {key} was completed twice");
                completed.insert(key);
                assert_eq!(rest, recorded[key], "line {nth}: what was returned is what was recorded");
                let holder = holders[key];
                let of_the_last = format!("{key}:{}:{process}", holder.fence);
                assert_eq!(rest, of_the_last, "line {nth}: completed by another than the last holder");
                assert!(holder.ended);
            }
            "replayed" => {
                counts.replays += 1;
                assert_eq!(rest, recorded[key], "line {nth}: a replay is what was recorded");
                completed.insert(key);
            }
            "lost" => counts.lost_leases += 1,
            "error" => {
                counts.store_errors += 1;
                assert!(rest.contains("locked") || rest.contains("store"), "line {nth}: {line}");
            }
            _ => panic!("line {nth}: {line}"),
        }
    }
    assert_eq!(recorded.len() as u64, KEYS);
    for (key, result) in recorded {
        assert!(result.starts_with(&format!("{key}:{}:", holders[key.as_str()].fence)), "{key}: {result}");
    }
    counts
}
