//! The fault run: four processes with sixteen handlers each share the keys of one store. The processes are killed and replaced, and
//! stopped for longer than their leases; their connections are cut; the server is killed and restarted. Each process writes what it
//! does and what it is told into a history, which is checked at the end.
//!
//! `IDEM_FAULT_SECONDS` is the length of a run, 15 unless set.

mod check;
mod history;
mod judged;
mod pool;
mod recorder;
mod run;
mod unfenced;
mod worker;

use std::time::Duration;

use idem_tests::proxy::Proxy;
use idem_tests::server::{Kind, Server};
use tokio::sync::Mutex;

use self::check::Counts;
use self::run::{Event, Run};
use self::worker::{Opening, Orders};

const KEYS: u64 = 2_000;

/// The faults, in their order.
const EVENTS: [Event; 12] = {
    use Event::{Cut, Kill, Server, Stop};
    [Stop, Kill, Cut, Stop, Server, Cut, Stop, Kill, Cut, Stop, Cut, Kill]
};

/// Lets one run take place at a time: each needs the whole machine.
static TURN: Mutex<()> = Mutex::const_new(());

/// Not a test of its own: the process of a worker.
#[tokio::test]
async fn worker() {
    if let Some((orders, seed)) = Orders::given() {
        orders.work(seed).await;
    }
}

/// In no run may anything be lost or repeated. In a short run it can happen that no process is stopped at a moment at which it loses a
/// lease: then the run is repeated, until each consequence of a fault was seen.
async fn faults_lose_and_repeat_nothing(kind: Kind, opening: Opening) {
    let _turn = TURN.lock().await;
    let seconds = std::env::var("IDEM_FAULT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(15);
    let mut last = None;
    for _ in 0..4 {
        let counts = one_run(kind, opening, seconds).await;
        let seen = [counts.takeovers, counts.lost_leases, counts.store_errors, counts.failures, counts.drops];
        if seen.iter().all(|&times| times > 0) {
            return;
        }
        last = Some(counts);
    }
    panic!("a consequence was seen in no run: {last:?}");
}

async fn one_run(kind: Kind, opening: Opening, seconds: u64) -> Counts {
    let length = Duration::from_secs(seconds);
    // With a pool of four connections, the other handlers wait, so each has to take less time.
    let takes = Run::takes(length, KEYS) / if opening == Opening::WithPool { 4 } else { 1 };
    let directory = tempfile::tempdir().unwrap();
    let server = kind.start().await;
    let proxy = Proxy::start(server.port()).await;
    let orders =
        Orders { directory: directory.path().to_owned(), url: proxy.url(&server.url()), keys: KEYS, takes, opening };
    let events = &EVENTS;
    let direct = server.url();
    let (faults, judged) = Run { orders, direct, server: Some((&server, &proxy)), events, length }.run().await;
    println!("{kind:?}, {opening:?}, {seconds} s: {faults:?}; {judged:?}");
    let counts = judged.unwrap_or_else(|error| panic!("{error}\nthe history: {}", directory.keep().display()));
    let happened = [faults.kills, faults.stops, faults.cuts, faults.restarts];
    assert!(happened.iter().all(|&times| times > 0), "a fault didn't happen: {faults:?}");
    assert!(counts.replays as u64 > KEYS, "too few keys were replayed: {counts:?}");
    counts
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r02_r07_r13_redis_loses_and_repeats_nothing() {
    faults_lose_and_repeat_nothing(Kind::Redis, Opening::ByUrl).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r02_r07_r13_postgres_loses_and_repeats_nothing() {
    faults_lose_and_repeat_nothing(Kind::Postgres, Opening::ByUrl).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r02_r07_r13_postgres_loses_and_repeats_nothing_with_a_pool_that_is_used_up() {
    faults_lose_and_repeat_nothing(Kind::Postgres, Opening::WithPool).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r02_r07_r13_mysql_loses_and_repeats_nothing() {
    faults_lose_and_repeat_nothing(Kind::MariaDb, Opening::ByUrl).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r02_r07_r13_mysql_loses_and_repeats_nothing_with_a_pool_that_is_used_up() {
    faults_lose_and_repeat_nothing(Kind::MariaDb, Opening::WithPool).await;
}

/// Processes are stopped, and their store has no fences: any caller can end another's lease. The checker has to find that. The run is
/// repeated, as in a short one it can happen that no process is stopped at the wrong moment.
async fn checker_finds_the_missing_fence(kind: Option<Kind>) {
    let _turn = TURN.lock().await;
    for _ in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let server = match kind {
            Some(kind) => Some(kind.start().await),
            None => None,
        };
        let file = format!("sqlite:{}", directory.path().join("idem.sqlite").display());
        let url = server.as_ref().map_or(file, Server::url);
        let length = Duration::from_secs(5);
        let keys = 400;
        let takes = Run::takes(length, keys);
        let orders = Orders {
            directory: directory.path().to_owned(),
            url: url.clone(),
            keys,
            takes,
            opening: Opening::Unfenced,
        };
        let run = Run { orders, direct: url, server: None, events: &[Event::Stop], length };
        let (faults, judged) = run.run().await;
        println!("{faults:?}; {judged:?}");
        if judged.is_err() {
            return;
        }
    }
    panic!("six runs without a fence, and nothing was found");
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_checker_finds_a_missing_fence_in_sqlite() {
    checker_finds_the_missing_fence(None).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r07_checker_finds_a_missing_fence_in_redis() {
    checker_finds_the_missing_fence(Some(Kind::Redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r07_checker_finds_a_missing_fence_in_postgres() {
    checker_finds_the_missing_fence(Some(Kind::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r07_checker_finds_a_missing_fence_in_mysql() {
    checker_finds_the_missing_fence(Some(Kind::MariaDb)).await;
}
