//! Opening a file: many processes and stores at once, what is refused, and a schema that was made by hand.

use std::path::Path;
use std::process::Command;

use idem_runtime::store::ClaimAnswer;
use idem_runtime::{Error, IdempotencyStore, SqliteStore};
use idem_tests::steps::{execute, key, record, request};
use rusqlite::Connection;

use super::{directory, file, open};

fn config_message(result: Result<impl std::fmt::Debug, Error>) -> String {
    match result {
        Err(error @ Error::Config { .. }) => error.to_string(),
        other => panic!("a configuration error, not {other:?}"),
    }
}

/// Not a test of its own: a process that `twenty_processes_start_at_once` starts.
#[tokio::test]
async fn process_that_starts() {
    let Some(path) = std::env::var_os("IDEM_TEST_STARTS_ON") else { return };
    let store = open(Path::new(&path)).await;
    let key = key(std::process::id().to_string());
    execute(&store, "s", &key, &record("started")).await;
}

#[tokio::test]
async fn twenty_processes_start_at_once() {
    let directory = directory();
    let path = file(&directory);
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "opening::process_that_starts", "--quiet"])
            .env("IDEM_TEST_STARTS_ON", &path)
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..20).map(|_| start()).collect();
    for mut process in processes {
        assert!(process.wait().unwrap().success());
    }
    let stats = open(&path).await.admin().unwrap().stats().await.unwrap();
    assert_eq!(stats.completed, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_stores_are_opened_at_once() {
    let directory = directory();
    let opening: Vec<_> = (0..20).map(|_| tokio::spawn(SqliteStore::open(file(&directory)))).collect();
    for store in opening {
        store.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_no_database_file_is_refused_with_a_reason() {
    let directory = directory();
    let inside = |name: &str| directory.path().join(name);
    for in_memory in ["", ":memory:"] {
        let message = config_message(SqliteStore::open(in_memory).await);
        assert!(message.contains("MemoryStore") && message.contains("name a file"), "{message}");
        config_message(idem_runtime::connect(&format!("sqlite:{in_memory}")).await);
        config_message(idem_runtime::connect(&format!("sqlite://{in_memory}")).await);
    }
    let message = config_message(SqliteStore::open(directory.path()).await);
    assert!(message.contains("directory"), "{message}");
    let message = config_message(SqliteStore::open(inside("no/such.sqlite")).await);
    assert!(message.contains("does not exist"), "{message}");
    std::fs::write(inside("letter.txt"), "Dear Sir or Madam, ".repeat(100)).unwrap();
    let message = config_message(SqliteStore::open(inside("letter.txt")).await);
    assert!(message.contains("not a SQLite database"), "{message}");
    let message = config_message(SqliteStore::open("file:x.sqlite").await);
    assert!(message.contains("URI"), "{message}");

    let connection = Connection::open(inside("other.sqlite")).unwrap();
    connection.execute_batch("CREATE TABLE idem_keys (purge_at INTEGER)").unwrap();
    let message = config_message(SqliteStore::open(inside("other.sqlite")).await);
    assert!(message.contains("someone else's"), "{message}");
}

#[tokio::test]
async fn a_newer_file_is_refused() {
    let directory = directory();
    let path = file(&directory);
    drop(open(&path).await);
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE idem_keys_schema SET version = 2").unwrap();
    let message = config_message(SqliteStore::open(&path).await);
    assert!(message.contains("version 2") && message.contains("update"), "{message}");
}

#[tokio::test]
async fn urls_open_files() {
    let directory = directory();
    let path = file(&directory);
    execute(&open(&path).await, "s", &key("k"), &record("r")).await;
    for url in [format!("sqlite:{}", path.display()), format!("sqlite://{}", path.display())] {
        let store = idem_runtime::connect(&url).await.unwrap();
        assert!(matches!(store.claim(request("s", &key("k"))).await.unwrap(), ClaimAnswer::Completed(_)));
        assert!(store.admin().is_some() && !store.needs_runtime());
    }
}

#[tokio::test]
async fn a_schema_made_by_hand_is_taken() {
    let directory = directory();
    let connection = Connection::open(file(&directory)).unwrap();
    connection.execute_batch(include_str!("../../../idem-runtime/src/store/sqlite/schema.sql")).unwrap();
    connection.execute_batch("CREATE TABLE orders (id); PRAGMA user_version = 42").unwrap();
    let store = open(&file(&directory)).await;
    execute(&store, "s", &key("k"), &record("r")).await;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 42, "the version of the user's own tables is left alone");
}
