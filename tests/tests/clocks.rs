//! R10: processes whose clocks are a day ahead and a day behind share one server, and agree on every lease. An operator can ask how
//! far the server's clock is off.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idem_runtime::protocol::Row;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Key, Owner, Record, RenewRequest};
use idem_runtime::{AnyStore, Error, IdempotencyStore, MemoryStore, Outcome, idempotent};
use idem_tests::server::Kind;

const SCOPE: &str = "clocks";
const LEASE: Duration = Duration::from_millis(900);
const DAY: i64 = 24 * 60 * 60;
/// The name of the test of this binary that is run as a process with a clock of its own, and the variable with its store's URL.
const CHILD: &str = "child";
const URL: &str = "IDEM_CLOCKS_URL";

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[idempotent(key = "id", store = store, scope = "clocks", lease = "900ms", ttl = "1500ms")]
async fn handle(store: &AnyStore, id: &str, takes: Duration) -> Result<Outcome<u32>, Error> {
    tokio::time::sleep(takes).await;
    Ok(std::process::id().into())
}

/// A process whose clock is off by so many seconds.
struct Peer {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    off: i64,
}

impl Peer {
    fn start(url: &str, off: i64) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", CHILD, "--nocapture"]).env(URL, url).stdin(Stdio::piped()).stdout(Stdio::piped());
        if off != 0 {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME", format!("{off:+}s"));
            // The monotonic clock is left alone. Each version of libfaketime knows one of these two names.
            command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut peer = Self { child, to, from, off };
        let clock: i64 = peer.ask("clock").parse().unwrap();
        assert!((clock - now().as_secs() as i64 - off).abs() < 60, "its clock is {off} seconds off");
        peer
    }

    fn sends(&mut self, question: &str) {
        writeln!(self.to, "{question}").unwrap();
    }

    /// Reads the answer to the last request.
    fn hears(&mut self) -> String {
        for line in (&mut self.from).lines() {
            if let Some(answer) = line.unwrap().strip_prefix("> ") {
                return answer.to_owned();
            }
        }
        panic!("a peer died: {:?}", self.child.wait());
    }

    fn ask(&mut self, question: &str) -> String {
        self.sends(question);
        self.hears()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    found.expect("this test moves clocks: apt-get install libfaketime, or run tests/run")
}

/// Not a test of its own: the process of a peer.
#[tokio::test]
async fn child() {
    let Ok(url) = std::env::var(URL) else { return };
    let store = idem_runtime::connect(&url).await.unwrap();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        let answer = match words[..] {
            ["clock"] => now().as_secs().to_string(),
            ["call", id, takes] => called(&store, id, Duration::from_millis(takes.parse().unwrap())).await,
            [question, id, owner, fence] => {
                asked(&store, question, id, owner.parse().unwrap(), fence.parse().unwrap()).await
            }
            _ => panic!("{line}"),
        };
        // Begins a new line, as the test harness has printed the test's name on this one.
        println!("\n> {answer}");
    }
}

async fn called(store: &AnyStore, id: &str, takes: Duration) -> String {
    match handle(store, id, takes).await {
        Ok(outcome) => format!("{outcome:?}"),
        Err(Error::InProgress { retry_after, .. }) => format!("InProgress {}", retry_after.as_micros()),
        Err(error) => panic!("{error}"),
    }
}

async fn asked(store: &AnyStore, question: &str, id: &str, owner: u8, fence: u64) -> String {
    let key = Key::of(id).unwrap();
    let claim = ClaimRequest::new(SCOPE, &key, Owner([owner; 16]), LEASE);
    let record = Record::from_bytes(b"of the clocks");
    let standing = match question {
        "claim" => {
            return match store.claim(claim).await.unwrap() {
                ClaimAnswer::Acquired(grant) => format!("Acquired {} {:?}", grant.fence, grant.previous),
                ClaimAnswer::InProgress { remaining } => format!("InProgress {}", remaining.as_micros()),
                other => format!("{other:?}"),
            };
        }
        "renew" => store.renew(RenewRequest::new(&claim, fence)).await.unwrap(),
        "complete" => store.complete(CompleteRequest::new(&claim, fence, &record, LEASE)).await.unwrap(),
        _ => panic!("{question}"),
    };
    format!("{standing:?}")
}

/// The number behind this word.
fn number(answer: &str, word: &str) -> u64 {
    let number = answer.strip_prefix(word).and_then(|rest| rest.trim().split(' ').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{word} was expected: {answer}"))
}

/// The remaining lease that a duplicate is told.
fn remaining(answer: &str) -> Duration {
    let remaining = Duration::from_micros(number(answer, "InProgress"));
    assert!(remaining > Duration::ZERO && remaining <= LEASE, "{answer}");
    remaining
}

/// Asserts that the times in the row are those of the server, which has the clock of this process.
async fn has_true_times(store: &AnyStore, id: &str) -> Row {
    let found = store.admin().unwrap().get(SCOPE, &Key::of(id).unwrap()).await.unwrap();
    let row = found.unwrap().0.row;
    let now = now().as_micros() as u64;
    for time in [row.fence, row.until] {
        assert!(time.abs_diff(now) < 60_000_000, "{id}: {time} is not near {now}");
    }
    row
}

/// One peer claims, the other takes over when the lease is over, and the first is told that it has lost the key.
async fn takes_over(store: &AnyStore, id: &str, first: &mut Peer, second: &mut Peer) {
    let fence = number(&first.ask(&format!("claim {id} 1 0")), "Acquired");
    has_true_times(store, id).await;
    let rest = remaining(&second.ask(&format!("claim {id} 2 0")));
    assert_eq!(first.ask(&format!("renew {id} 1 {fence}")), "Held");
    let renewed = remaining(&second.ask(&format!("claim {id} 3 0")));
    tokio::time::sleep(rest.max(renewed) + Duration::from_millis(5)).await;

    let answer = second.ask(&format!("claim {id} 4 0"));
    let next = number(&answer, "Acquired");
    assert!(next > fence && answer.contains(&format!("AfterCrash {{ fence: {fence} }}")), "{answer}");
    assert_eq!(first.ask(&format!("renew {id} 1 {fence}")), "Lost");
    assert_eq!(first.ask(&format!("complete {id} 1 {fence}")), "Lost");
    assert_eq!(second.ask(&format!("complete {id} 4 {next}")), "Held");

    assert!(first.ask(&format!("claim {id} 5 0")).starts_with("Completed"));
    has_true_times(store, id).await;
    tokio::time::sleep(LEASE + Duration::from_millis(5)).await;
    let expired = first.ask(&format!("claim {id} 6 0"));
    assert!(number(&expired, "Acquired") > next && expired.ends_with("First"), "{expired}");
}

/// A handler that takes three leases keeps its key, and its result is replayed until its ttl is over.
async fn renews(id: &str, first: &mut Peer, second: &mut Peer) {
    first.sends(&format!("call {id} {}", 3 * LEASE.as_millis()));
    let end = tokio::time::Instant::now() + 2 * LEASE;
    tokio::time::sleep(LEASE / 4).await;
    while tokio::time::Instant::now() < end {
        remaining(&second.ask(&format!("call {id} 0")));
        tokio::time::sleep(LEASE / 8).await;
    }
    let executed = first.hears();
    let id_of_first = first.child.id();
    assert_eq!(executed, format!("Executed({id_of_first})"));
    assert_eq!(second.ask(&format!("call {id} 0")), format!("Replayed({id_of_first})"));
    tokio::time::sleep(Duration::from_millis(1505)).await;
    assert_eq!(second.ask(&format!("call {id} 0")), format!("Executed({})", second.child.id()));
}

async fn r10_clocks_a_day_off_agree_on_every_lease(kind: Kind) {
    let server = kind.start().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    let mut peers = [DAY, -DAY, 0].map(|off| Peer::start(&server.url(), off));
    for (first, second) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
        let [first, second] = peers.get_disjoint_mut([first, second]).unwrap();
        let id = format!("{}-{}", first.off, second.off);
        takes_over(&store, &format!("taken{id}"), first, second).await;
        if first.off * second.off != 0 {
            renews(&format!("renewed{id}"), first, second).await;
        }
    }
}

#[tokio::test]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r10_redis_clocks_a_day_off_agree_on_every_lease() {
    r10_clocks_a_day_off_agree_on_every_lease(Kind::Redis).await;
}

#[tokio::test]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r10_postgres_clocks_a_day_off_agree_on_every_lease() {
    r10_clocks_a_day_off_agree_on_every_lease(Kind::Postgres).await;
}

#[tokio::test]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r10_mysql_clocks_a_day_off_agree_on_every_lease() {
    r10_clocks_a_day_off_agree_on_every_lease(Kind::MariaDb).await;
}

const SECOND: i64 = 1_000_000;

/// How far the store's clock is ahead, according to the statistics for operators.
async fn ahead(store: &AnyStore) -> i64 {
    store.admin().unwrap().stats().await.unwrap().clock_ahead_micros.unwrap()
}

async fn stats_tell_how_far_the_clock_is_off(kind: Kind) {
    let server = kind.start().await;
    let clock = server.movable_clock().await;
    let store = idem_runtime::connect(&server.url()).await.unwrap();
    for set in [0, 3_600 * SECOND, -3_600 * SECOND] {
        clock.set(set);
        let told = ahead(&store).await;
        assert!((told - set).abs() < 30 * SECOND, "{told} for {set}");
    }
}

#[tokio::test]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r10_redis_stats_tell_how_far_the_clock_is_off() {
    stats_tell_how_far_the_clock_is_off(Kind::Redis).await;
}

#[tokio::test]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r10_postgres_stats_tell_how_far_the_clock_is_off() {
    stats_tell_how_far_the_clock_is_off(Kind::Postgres).await;
}

#[tokio::test]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r10_mysql_stats_tell_how_far_the_clock_is_off() {
    stats_tell_how_far_the_clock_is_off(Kind::MariaDb).await;
}

/// A SQLite store uses this process's clock. A memory store doesn't follow when that clock is set.
#[tokio::test]
async fn r10_embedded_stores_stats_tell_how_far_the_clock_is_off() {
    let home = tempfile::tempdir().unwrap();
    let file = idem_runtime::connect(&format!("sqlite:{}", home.path().join("keys.db").display())).await.unwrap();
    assert!(ahead(&file).await.abs() < 30 * SECOND);
    let memory = MemoryStore::new();
    assert!(ahead(&AnyStore::new(memory.clone())).await.abs() < 30 * SECOND);
    memory.set_clock_ahead(Duration::from_secs(3_600)).await;
    assert!((ahead(&AnyStore::new(memory)).await - 3_600 * SECOND).abs() < 30 * SECOND);
}
