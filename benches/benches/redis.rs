//! On Redis: handlers through the attribute, beside the same script calls through the same driver, and beside the crate
//! `idempotent` on the same server, in one run.
//!
//! `cargo bench --ignore-rust-version --bench redis`

use std::sync::Arc;
use std::time::Duration;

use idem_benches::handler::{Receipt, charge as work};
use idem_benches::load::{ROUNDS, Rates, id, rate, target};
use idem_runtime::{Error, Outcome, RedisStore, idempotent};
use idem_tests::server::Redis;
use idempotent::valkey::ValkeyStore;
use idempotent::{ExecutionOutcome, IdempotencyKey, IdempotencyStore as _};
use redis::aio::MultiplexedConnection;
use redis::{Script, Value};

#[idempotent(key = "id", scope = "orders::charge", store = store)]
async fn charge(store: &RedisStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok("r".repeat(64).into())
}

async fn execute(store: RedisStore, number: usize) {
    assert!(!charge(&store, &id(number)).await.unwrap().is_replayed());
}

async fn replay(store: RedisStore, number: usize) {
    assert!(charge(&store, &id(number)).await.unwrap().is_replayed());
}

macro_rules! script {
    ($($file:literal),+) => {
        concat!($(include_str!(concat!("../../idem-runtime/src/store/redis/", $file))),+)
    };
}

/// The store's scripts, called by hand.
#[derive(Clone)]
struct Raw {
    connection: MultiplexedConnection,
    claim: &'static Script,
    complete: &'static Script,
}

const LEASE: u64 = 60_000_000;
const TTL: u64 = 7 * 24 * 60 * 60 * 1_000_000;

impl Raw {
    async fn new(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        Self {
            connection: client.get_multiplexed_async_connection().await.unwrap(),
            claim: Box::leak(Box::new(Script::new(script!(
                "head.lua",
                "replay.lua",
                "row.lua",
                "owners.lua",
                "claim.lua",
                "write.lua"
            )))),
            complete: Box::leak(Box::new(Script::new(script!("head.lua", "row.lua", "complete.lua", "write.lua")))),
        }
    }

    async fn claim(&mut self, number: usize) -> Vec<Value> {
        let mut call = self.claim.key(format!("by-hand:{}", id(number)));
        call.arg(&[b'o'; 16][..]).arg(LEASE).arg(TTL).arg("").arg("1").arg("0");
        call.invoke_async(&mut self.connection).await.unwrap()
    }

    async fn execute(mut self, number: usize) {
        // Of a new key, the fence is the time of the claim, the second thing that it answers.
        let Some(Value::Int(now)) = self.claim(number).await.get(1).cloned() else { panic!("no time") };
        self.complete(number, &now.to_be_bytes()).await;
    }

    async fn complete(&mut self, number: usize, fence: &[u8]) {
        let mut call = self.complete.key(format!("by-hand:{}", id(number)));
        call.arg(&[b'o'; 16][..]).arg(fence).arg(&[b'r'; 64][..]).arg(TTL).arg(LEASE).arg("channel").arg("0");
        let _: Value = call.invoke_async(&mut self.connection).await.unwrap();
    }

    async fn replay(mut self, number: usize) {
        assert!(matches!(self.claim(number).await.last(), Some(Value::BulkString(_))));
    }
}

/// The crate `idempotent`.
async fn peer(store: Arc<ValkeyStore>, number: usize) {
    let id = id(number);
    let key = IdempotencyKey::new(&id).unwrap();
    let work = |_| async { work(&id).map_err(|_| "the handler failed".into()) };
    let claim = store.claim(&key, Duration::from_secs(60)).fingerprint("charge", b"");
    match claim.execute_or_replay(Duration::from_secs(7 * 24 * 60 * 60), work).await {
        Ok(ExecutionOutcome::Executed(Receipt(_)) | ExecutionOutcome::Replayed(Receipt(_))) => {}
        _ => panic!("it is in progress, or failed"),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut rates = Rates::default();
    for _ in 0..ROUNDS {
        let server = Redis::start_with(&["--appendonly", "no"]).await;
        let url = server.url();
        let store = RedisStore::open(&url).await.unwrap();
        let raw = Raw::new(&url).await;
        let other = Arc::new(ValkeyStore::with_url(&url).try_build().await.unwrap());
        let (one, many) = (4_000, 60_000);
        let handle = raw.clone();
        rates.note(RAW_ONE, rate(1, one, move |n| handle.clone().execute(n)).await);
        let handle = store.clone();
        rates.note(ONE, rate(1, one, move |n| execute(handle.clone(), n)).await);
        let handle = other.clone();
        rates.note(PEER_ONE, rate(1, one, move |n| peer(handle.clone(), n)).await);
        let handle = raw.clone();
        rates.note(RAW_MANY, rate(64, many, move |n| handle.clone().execute(one + n)).await);
        let handle = store.clone();
        rates.note(MANY, rate(64, many, move |n| execute(handle.clone(), one + n)).await);
        let handle = other.clone();
        rates.note(PEER_MANY, rate(64, many, move |n| peer(handle.clone(), one + n)).await);
        let handle = raw.clone();
        rates.note(RAW_REPLAY_ONE, rate(1, 8_000, move |n| handle.clone().replay(n)).await);
        let handle = store.clone();
        rates.note(REPLAY_ONE, rate(1, 8_000, move |n| replay(handle.clone(), n)).await);
        let handle = other.clone();
        rates.note(PEER_REPLAY_ONE, rate(1, 8_000, move |n| peer(handle.clone(), n)).await);
        let handle = raw.clone();
        rates.note(RAW_REPLAY_MANY, rate(64, many, move |n| handle.clone().replay(n)).await);
        let handle = store.clone();
        rates.note(REPLAY_MANY, rate(64, many, move |n| replay(handle.clone(), n)).await);
        let handle = other.clone();
        rates.note(PEER_REPLAY_MANY, rate(64, many, move |n| peer(handle.clone(), n)).await);
    }
    rates.print("Redis");
    println!("\n| target | reach | measured |\n|---|---|---|");
    let of = |name| rates.of(name);
    target("first execution, 1 handler, in times of the raw calls", "at least 0.9", of(ONE) / of(RAW_ONE));
    target("first execution, 64 handlers, in times of the raw calls", "at least 0.9", of(MANY) / of(RAW_MANY));
    target("duplicate, 1 handler, in times of the raw call", "at least 0.9", of(REPLAY_ONE) / of(RAW_REPLAY_ONE));
    target("duplicate, 64 handlers, in times of the raw call", "at least 0.9", of(REPLAY_MANY) / of(RAW_REPLAY_MANY));
    target("first execution, 64 handlers, in times of `idempotent`", "at least 1.4", of(MANY) / of(PEER_MANY));
}

const ONE: &str = "store, first execution, 1 handler";
const MANY: &str = "store, first execution, 64 handlers";
const REPLAY_ONE: &str = "store, duplicate, 1 handler";
const REPLAY_MANY: &str = "store, duplicate, 64 handlers";
const RAW_ONE: &str = "raw EVALSHA, first execution, 1 handler";
const RAW_MANY: &str = "raw EVALSHA, first execution, 64 handlers";
const RAW_REPLAY_ONE: &str = "raw EVALSHA, duplicate, 1 handler";
const RAW_REPLAY_MANY: &str = "raw EVALSHA, duplicate, 64 handlers";
const PEER_ONE: &str = "crate `idempotent`, first execution, 1 handler";
const PEER_MANY: &str = "crate `idempotent`, first execution, 64 handlers";
const PEER_REPLAY_ONE: &str = "crate `idempotent`, duplicate, 1 handler";
const PEER_REPLAY_MANY: &str = "crate `idempotent`, duplicate, 64 handlers";
