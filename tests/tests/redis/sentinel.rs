//! A store that asks a sentinel which server is the primary.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use idem_runtime::{Error, Outcome, RedisStore, idempotent};
use idem_tests::Count;
use idem_tests::server::Redis;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use tempfile::TempDir;

use crate::failover::pair;
use crate::raw;

#[idempotent(key = "id", scope = "sentinel::charge", store = "store", lease = "2s")]
async fn charge(store: &RedisStore, id: &str, runs: &Count) -> Result<Outcome<u32>, Error> {
    let _ = store;
    Ok(runs.up().into())
}

/// A sentinel that decides alone.
struct Sentinel {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Sentinel {
    async fn start(primary: &Redis) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file: PathBuf = directory.path().join("sentinel.conf");
        let lines = [
            format!("port {port}"),
            "bind 127.0.0.1".to_owned(),
            format!("dir {}", directory.path().display()),
            format!("sentinel monitor idem 127.0.0.1 {} 1", primary.port()),
            "sentinel down-after-milliseconds idem 300".to_owned(),
            "sentinel failover-timeout idem 3000".to_owned(),
        ];
        std::fs::write(&file, lines.join("\n")).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(&file).arg("--sentinel").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let sentinel = Self { process: command.spawn().unwrap(), port, _directory: directory };
        // The sentinel has to know the replica before the primary is killed.
        while !sentinel.knows_a_replica().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sentinel
    }

    fn client(&self) -> SentinelClient {
        let address = redis::ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port);
        SentinelClientBuilder::new([address], "idem", SentinelServerType::Master).unwrap().build().unwrap()
    }

    async fn knows_a_replica(&self) -> bool {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let Ok(mut raw) = client.get_multiplexed_async_connection().await else { return false };
        let mut ask = redis::cmd("SENTINEL");
        let replicas: Vec<Vec<String>> =
            ask.arg("REPLICAS").arg("idem").query_async(&mut raw).await.unwrap_or_default();
        replicas.iter().any(|fields| fields.windows(2).any(|pair| pair == ["master-link-status", "ok"]))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r14_the_store_follows_a_failover() {
    let (primary, replica) = pair().await;
    let sentinel = Sentinel::start(&primary).await;
    let store = RedisStore::options().open_with_sentinel(sentinel.client()).await.unwrap();
    let guarded = RedisStore::options().wait_replicas(1, Duration::from_secs(1));
    let guarded = guarded.open_with_sentinel(sentinel.client()).await.unwrap();
    let runs = Count::default();
    assert_eq!(charge(&store, "any", &runs).await.unwrap(), Outcome::Executed(1));
    assert_eq!(charge(&guarded, "k", &runs).await.unwrap(), Outcome::Executed(2));
    primary.kill();
    let killed = Instant::now();
    loop {
        match charge(&store, "k", &runs).await {
            Ok(outcome) => break assert_eq!(outcome, Outcome::Replayed(2)),
            Err(error @ Error::Store { .. }) => {
                assert!(killed.elapsed() < Duration::from_secs(60), "{error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let role: Vec<redis::Value> = redis::cmd("ROLE").query_async(&mut raw(&replica).await).await.unwrap();
    assert_eq!(role[0], redis::Value::BulkString(b"master".to_vec()));
}
