//! A process that gets SIGTERM: it cancels its handlers, joins them, drains, and exits at once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use idem_runtime::{AnyStore, Error, Outcome, connect, drain, idempotent};
use idem_tests::journal::Journal;
use idem_tests::rng::Rng;
use idem_tests::server::{Kind, Process};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

const HANDLERS: u64 = 50;

/// A handler whose default lease of 60 s is longer than the test would wait.
#[idempotent(key = "id", scope = "shutdown/sigterm", store = store)]
async fn handle(store: &AnyStore, id: &str, takes: Duration) -> Result<Outcome<String>, Error> {
    tokio::time::sleep(takes).await;
    Ok(std::process::id().to_string().into())
}

/// Not a test of its own: the process.
#[tokio::test(flavor = "multi_thread")]
async fn worker() {
    let (Ok(url), Some(journal)) = (std::env::var("IDEM_SIGTERM_STORE"), std::env::var_os("IDEM_SIGTERM_JOURNAL"))
    else {
        return;
    };
    let mut told = told_to_end();
    let store = connect(&url).await.unwrap();
    let journal = Journal::open(&PathBuf::from(journal));
    let mut handlers = JoinSet::new();
    for nth in 0..HANDLERS {
        let (store, journal) = (store.clone(), journal.clone());
        handlers.spawn(async move {
            let mut rng = Rng::new(nth);
            // When the signal comes, half of the handlers are in a long body, and the others at any point of a call.
            let long = if nth % 2 == 0 { u64::MAX } else { 5 };
            for message in 0.. {
                let id = format!("{nth}-{message}");
                journal.line(format_args!("begun {id}"));
                let takes =
                    if message < long { Duration::from_millis(rng.below(20)) } else { Duration::from_secs(3600) };
                if handle(&store, &id, takes).await.is_ok() {
                    journal.line(format_args!("ok {id}"));
                }
                if message == 5 {
                    println!("ready");
                }
            }
        });
    }
    told.read_u8().await.unwrap();
    handlers.shutdown().await;
    let left = drain(Duration::from_secs(30)).await;
    std::process::exit(if left == 0 { 0 } else { 3 });
}

/// A socket that is readable once this process has got SIGTERM.
fn told_to_end() -> tokio::net::UnixStream {
    static TELL: OnceLock<i32> = OnceLock::new();

    extern "C" fn tell(_: i32) {
        if let Some(&tell) = TELL.get() {
            unsafe { libc::write(tell, [1_u8].as_ptr().cast(), 1) };
        }
    }

    let (tells, told) = UnixStream::pair().unwrap();
    TELL.set(tells.into_raw_fd()).unwrap();
    unsafe { libc::signal(libc::SIGTERM, tell as extern "C" fn(i32) as libc::sighandler_t) };
    told.set_nonblocking(true).unwrap();
    tokio::net::UnixStream::from_std(told).unwrap()
}

/// Starts the process, and sends SIGTERM once its handlers are busy.
fn run_until_told(url: &str, journal: &Path) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "sigterm::worker", "--nocapture", "--quiet"]);
    command.env("IDEM_SIGTERM_STORE", url).env("IDEM_SIGTERM_JOURNAL", journal).stdout(Stdio::piped());
    let mut worker = Process::spawn(command);
    let lines = BufReader::new(worker.child().stdout.take().unwrap()).lines();
    let ready = lines.map_while(Result::ok).filter(|line| line.contains("ready")).take(HANDLERS as usize / 2);
    assert_eq!(ready.count(), HANDLERS as usize / 2);
    unsafe { libc::kill(worker.child().id().cast_signed(), libc::SIGTERM) };
    let status = worker.child().wait().unwrap();
    assert!(status.success(), "something was left: {status}");
}

/// After the process has ended, each call that returned `Ok` is replayed. Each other call is replayed or runs, at once.
async fn leaves_nothing_behind(url: &str) {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    tokio::task::block_in_place(|| run_until_told(url, &journal));
    let mut told_ok: BTreeMap<String, bool> = BTreeMap::new();
    for line in std::fs::read_to_string(&journal).unwrap().lines() {
        match line.split_once(' ') {
            Some(("begun", id)) => drop(told_ok.insert(id.to_owned(), false)),
            Some(("ok", id)) => drop(told_ok.insert(id.to_owned(), true)),
            _ => panic!("{line}"),
        }
    }
    let store = connect(url).await.unwrap();
    let mut ran_again = 0;
    for (id, &told_ok) in &told_ok {
        match handle(&store, id, Duration::ZERO).await {
            Ok(Outcome::Replayed(_)) => {}
            Ok(Outcome::Executed(_)) if !told_ok => ran_again += 1,
            other => panic!("{id}, told ok: {told_ok}, {other:?}"),
        }
    }
    let (messages, ok) = (told_ok.len(), told_ok.values().filter(|&&ok| ok).count());
    println!("{messages} messages, {ok} told ok, {ran_again} taken over");
    assert!(ran_again >= HANDLERS as usize / 2, "the long ones were cancelled: {ran_again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_a_process_on_sqlite_that_is_told_to_end_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    leaves_nothing_behind(&format!("sqlite:{}", directory.path().join("keys").display())).await;
}

async fn on_a_server(kind: Kind) {
    let server = kind.start().await;
    leaves_nothing_behind(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: run by tests/run"]
async fn r27_a_process_on_redis_that_is_told_to_end_leaves_nothing_behind() {
    on_a_server(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r27_a_process_on_postgres_that_is_told_to_end_leaves_nothing_behind() {
    on_a_server(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r27_a_process_on_mysql_that_is_told_to_end_leaves_nothing_behind() {
    on_a_server(Kind::MariaDb).await;
}
