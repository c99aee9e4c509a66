//! Opening a store.

use std::time::{Duration, Instant};

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::store::{Leave, ReleaseRequest, RenewRequest, WaitRequest};
use idem_runtime::{Error, IdempotencyStore, RedisStore};
use idem_tests::log::Log;
use idem_tests::server::Redis;

use crate::{execute, key, open, raw, record, replay};

#[tokio::test]
async fn r19_a_bad_url_is_refused_without_its_password() {
    for url in ["redis://user:hunter2@", "redis://:hunter2@host:port/", "redis://u:hunter2@host/no", "http://hunter2"] {
        let error = RedisStore::open(url).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_server_that_is_down_or_refuses_the_client_is_a_wrong_setting() {
    let server = Redis::start().await;
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "hunter2"]).exec_async(&mut raw(&server).await).await.unwrap();
    for url in [server.url(), server.url().replace("127.0.0.1", ":hunter3@127.0.0.1")] {
        let error = RedisStore::open(&url).await.unwrap_err();
        assert!(matches!(error, Error::Config { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
    }
    RedisStore::open(&server.url().replace("127.0.0.1", ":hunter2@127.0.0.1")).await.unwrap();
    server.kill();
    let error = open_error(&server.url()).await;
    assert!(matches!(error, Error::Config { source: Some(_), .. }), "{error:?}");
}

/// Opening fails at once if the server refuses, as waiting would not help.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn what_the_server_says_no_to_is_not_asked_again() {
    let server = Redis::start().await;
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "hunter2"]).exec_async(&mut raw(&server).await).await.unwrap();
    let url = server.url();
    let open = async |user: &str, rest: &str| {
        let begun = Instant::now();
        let error = open_error(&format!("{}{rest}", url.replace("127.0.0.1", &format!("{user}127.0.0.1")))).await;
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}: {error}");
        error.to_string()
    };
    let error = open(":hunter2@", "99").await;
    assert!(error.contains("DB index is out of range"), "{error}");
    for rest in ["", "?protocol=resp3"] {
        let error = open(":hunter3@", rest).await;
        assert!(error.contains("uthentication") || error.contains("WRONGPASS"), "{error}");
    }
}

/// A user with the rights that the docs of `RedisStore` name can open and use a store.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_user_with_few_rights_can_use_it() {
    let server = Redis::start().await;
    let commands = "eval evalsha time getrange get exists set setrange pexpireat ping publish";
    let operators = "scan";
    let mut allow = redis::cmd("ACL");
    allow.arg(&["SETUSER", "app", "on", ">hunter2", "~idem:*", "&idem:*", "-@all"]);
    for command in commands.split(' ').chain(operators.split(' ')) {
        allow.arg(format!("+{command}"));
    }
    allow.exec_async(&mut raw(&server).await).await.unwrap();
    let store = RedisStore::open(&server.url().replace("127.0.0.1", "app:hunter2@127.0.0.1")).await.unwrap();
    execute(&store, "s", &key("k"), &record("r")).await;
    assert_eq!(replay(&store, "s", &key("k")).await, record("r"));
    let (id, admin) = (key("another"), store.admin().unwrap());
    let claim = crate::request("s", &id);
    let fence = crate::acquire(&store, claim).await.fence;
    store.wait(WaitRequest::new("s", &id, Duration::from_millis(50))).await.unwrap();
    store.renew(RenewRequest::new(&claim, fence)).await.unwrap();
    store.release(ReleaseRequest::new(&claim, fence, Leave::OutcomeUnknown)).await.unwrap();
    assert_eq!(admin.list(Filter::all().orphans()).await.unwrap().len(), 1);
    admin.resolve("s", &id, Resolution::NotExecuted).await.unwrap();
    admin.forget("s", &key("k")).await.unwrap();
}

/// If no replica confirms writes, opening the store fails: the user learns of it before the first call.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn replicas_that_are_not_there_are_missed_at_once() {
    let (primary, replica) = crate::failover::pair().await;
    let most = Duration::from_millis(300);
    let guarded = async |replicas| RedisStore::options().wait_replicas(replicas, most).open(&primary.url()).await;
    guarded(1).await.unwrap();
    let error = guarded(2).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error:?}");
    let told = "`wait_replicas` can't be met, so every claim would fail: connect as many replicas, or ask for fewer: \
                Redis lacks a confirmation: 1 of 2 replicas confirmed within 300ms what the server has";
    assert_eq!(error.to_string(), told);
    drop(replica);
    let error = guarded(1).await.unwrap_err().to_string();
    assert!(error.contains("0 of 1 replicas"), "{error}");
    // Redis 7.0 doesn't know the command. Later versions refuse it here, as the server has no append-only file.
    let unsynced = Redis::start_with(&["--appendonly", "no"]).await;
    let error = RedisStore::options().wait_aof(0, most).open(&unsynced.url()).await.unwrap_err().to_string();
    assert!(error.contains("`wait_aof` can't be met") && error.contains("WAITAOF"), "{error}");
}

async fn open_error(url: &str) -> Error {
    RedisStore::open(url).await.unwrap_err()
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn every_kind_of_url_opens_a_store() {
    let server = Redis::start().await;
    let plain = open(&server).await;
    execute(&plain, "s", &key("k"), &record("r")).await;
    let socket = server.socket();
    let urls = [
        server.url().replace("redis:", "valkey:"),
        format!("unix://{}", socket.display()),
        format!("redis+unix://{}", socket.display()),
        format!("valkey+unix://{}?db=0", socket.display()),
        format!("{}?protocol=resp3", server.url()),
        format!("{}0", server.url()),
    ];
    for url in urls {
        let store = RedisStore::open(&url).await.unwrap();
        assert_eq!(replay(&store, "s", &key("k")).await, record("r"), "{url}");
        idem_runtime::connect(&url).await.unwrap();
    }
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_server_that_evicts_is_warned_of() {
    let server = Redis::start().await;
    let mut raw = raw(&server).await;
    let log = Log::default();
    let _logged = tracing::subscriber::set_default(log.clone());
    let mut warned = async |most: &str, policy: &str| {
        let mut set = redis::cmd("CONFIG");
        set.arg(&["SET", "maxmemory", most, "maxmemory-policy", policy]).exec_async(&mut raw).await.unwrap();
        open(&server).await;
        log.take()
    };
    assert_eq!(warned("0", "allkeys-lru").await, "", "nothing is ever evicted");
    assert_eq!(warned("100mb", "noeviction").await, "");
    let warning = warned("100mb", "volatile-lru").await;
    assert!(warning.contains("volatile-lru") && warning.contains("noeviction"), "{warning}");
}
