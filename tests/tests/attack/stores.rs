//! The stores of one machine: SQLite's sweep and settings, the memory store's wait, owners after a fork.

use std::time::Duration;

use idem_runtime::admin::Filter;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, Owner, WaitRequest};
use idem_runtime::{IdempotencyAdmin, IdempotencyStore, MemoryStore, SqliteStore};

use super::key;

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("idem.sqlite");
    (directory, path)
}

#[tokio::test]
async fn a_corrupted_row_does_not_stop_the_sweep() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path).await.unwrap();
    for id in 0..10 {
        let key = key(&format!("k{id}"));
        let request = ClaimRequest::new("s", &key, Owner::random(), Duration::from_secs(60));
        assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    }
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE idem_keys SET until = 1, purge_at = 2; UPDATE idem_keys SET state = 99, purge_at = 1 WHERE key = CAST('k3' AS BLOB)").unwrap();
    let swept = store.sweep(100).await.unwrap();
    assert_eq!(swept, 9);
}

#[tokio::test]
async fn a_sqlite_store_opens_with_any_timeout() {
    let (_directory, path) = file();
    let store = SqliteStore::options().busy_timeout(Duration::MAX).open(&path).await.unwrap();
    assert!(store.list(Filter::all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sqlite_store_that_sweeps_all_the_time_leaves_the_processor_idle() {
    fn processor_time(thread: &str) -> u64 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
        let of = |task: std::path::PathBuf| {
            let stat = std::fs::read_to_string(task.join("stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            name.contains(thread).then(|| fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap())
        };
        tasks.filter_map(of).max().unwrap()
    }
    let (_directory, path) = file();
    let _store = SqliteStore::options().sweep_interval(Some(Duration::ZERO)).open(&path).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The processor time, in hundredths of a second.
    let used = processor_time("idem-sqlite-wri");
    assert!(used < 30, "{used}");
}

#[tokio::test]
async fn a_memory_store_waits_for_as_long_as_it_is_told() {
    let store = MemoryStore::new();
    let key = key("k");
    let request = ClaimRequest::new("s", &key, Owner::random(), Duration::MAX);
    assert!(matches!(store.claim(request).await.unwrap(), ClaimAnswer::Acquired(_)));
    let rival = ClaimRequest::new("s", &key, Owner::random(), Duration::MAX);
    assert!(matches!(store.claim(rival).await.unwrap(), ClaimAnswer::InProgress { .. }));
    let waited =
        tokio::time::timeout(Duration::from_millis(20), store.wait(WaitRequest::new("s", &key, Duration::MAX)));
    assert!(waited.await.is_err());
}

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(code: i32) -> !;
}

#[test]
fn r02_two_processes_draw_different_owners_after_a_fork() {
    let (_directory, path) = file();
    let _ = Owner::random();
    let child = unsafe { fork() };
    if child == 0 {
        let owner = Owner::random();
        let _ = std::fs::write(&path, owner.0);
        unsafe { _exit(0) }
    }
    let owner = Owner::random();
    assert_eq!(unsafe { waitpid(child, std::ptr::null_mut(), 0) }, child);
    assert_ne!(std::fs::read(&path).unwrap(), owner.0);
}
