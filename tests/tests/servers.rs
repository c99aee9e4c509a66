//! Tests of the servers that other tests use: they start, are killed, and come back with the data that they had acknowledged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use idem_tests::server::{MariaDb, Postgres, Redis, Server};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Runs a server's command-line client, and returns what it printed.
fn ask(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn survives(server: &Server, ask: impl Fn(&str) -> String, write: &str, read: &str) {
    ask(write);
    server.kill();
    assert!(std::net::TcpStream::connect(("127.0.0.1", server.port())).is_err(), "it is dead");
    let killed = Instant::now();
    server.restart().await;
    println!("restarted in {:?}", killed.elapsed());
    assert_eq!(ask(read), "v");
}

#[tokio::test]
#[ignore = "starts a Redis server: run by tests/run"]
async fn redis_comes_back_with_its_data() {
    let server = Redis::start().await;
    let url = server.url();
    let ask = |text: &str| ask("redis-cli", &[&["-u", &url], &*text.split(' ').collect::<Vec<_>>()].concat());
    survives(&server, ask, "SET k v", "GET k").await;
    assert!(server.socket().exists());
}

#[tokio::test]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn postgres_comes_back_with_its_data() {
    let server = Postgres::start().await;
    let url = server.url();
    let ask = |text: &str| ask("psql", &["-XAtc", text, &url]);
    survives(&server, ask, "CREATE TABLE t AS SELECT 'v' AS c", "SELECT c FROM t").await;
    assert!(server.socket().join(format!(".s.PGSQL.{}", server.port())).exists());
}

#[tokio::test]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn mariadb_comes_back_with_its_data() {
    let server = MariaDb::start().await;
    let port = format!("--port={}", server.port());
    let ask = |text: &str| ask("mariadb", &["--no-defaults", "-h127.0.0.1", "-uroot", &port, "-Nse", text, "idem"]);
    survives(&server, ask, "CREATE TABLE t AS SELECT 'v' AS c", "SELECT c FROM t").await;
    assert!(server.socket().exists());
}

/// The processes whose working directory is in this folder, whatever their parent is.
fn at_work_in(folder: &Path) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let works = |process: &PathBuf| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    processes.filter(works).collect()
}

/// If one process of a killed server survived, it could wait for ever for a lock of one that didn't, and keep the server's shared
/// memory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn postgres_that_was_starting_processes_is_killed_with_all_of_them() {
    let server = Postgres::start().await;
    ask("psql", &["-XAtc", "CREATE TABLE t AS SELECT 0 AS n", &server.url()]);
    let answered = Arc::new(Notify::new());
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let (url, answered) = (server.url(), Arc::clone(&answered));
        clients.spawn(async move {
            loop {
                let Ok((client, connection)) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let connection = tokio::spawn(connection);
                if client.batch_execute("UPDATE t SET n = n + 1").await.is_ok() {
                    answered.notify_one();
                }
                drop(client);
                drop(connection.await);
            }
        });
    }
    for _ in 0..8 {
        for _ in 0..32 {
            answered.notified().await;
        }
        server.kill();
        assert_eq!(at_work_in(server.directory()), [] as [PathBuf; 0]);
        server.restart().await;
    }
}
