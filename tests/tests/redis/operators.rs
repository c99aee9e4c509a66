//! The requests of operators, and that they hold up no call.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use idem_runtime::admin::{self, Filter, Resolution};
use idem_runtime::{Error, IdempotencyStore, RedisStore};
use idem_tests::server::Redis;
use idem_tests::stuck;
use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};

use crate::{acquire, commands, execute, key, open, raw, record, request, reset_counts};

async fn fill(raw: &mut MultiplexedConnection, keys: usize) {
    let mut pipeline = redis::pipe();
    for number in 0..keys {
        pipeline.set(format!("filler:{number}"), 1).ignore();
    }
    pipeline.exec_async(raw).await.unwrap();
}

/// A visit shows each key once, though the server's hash table shrinks meanwhile, so that SCAN returns some keys twice.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_visit_is_one_pass_and_shows_each_key_once() {
    let server = Redis::start_with(&["--appendonly", "no"]).await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let admin = store.admin().unwrap();
    for number in 0..200 {
        execute(&store, if number % 2 == 0 { "even" } else { "odd{}" }, &key(format!("{number}")), &record("r")).await;
    }
    acquire(&store, request("even", &key("running"))).await;
    fill(&mut raw, 20_000).await;
    reset_counts(&mut raw).await;
    let mut shown = BTreeMap::new();
    let filter = Filter::all().limit(1);
    let shrink = async {
        while commands(&mut raw.clone()).await.get("scan").is_none_or(|scans| *scans < 20) {}
        let mut pipeline = redis::pipe();
        for number in 0..20_000 {
            pipeline.del(format!("filler:{number}")).ignore();
        }
        pipeline.exec_async(&mut raw.clone()).await.unwrap();
    };
    let mut see =
        |entry: idem_runtime::admin::Entry| *shown.entry((entry.scope, entry.key.to_string())).or_insert(0) += 1;
    let (visited, ()) = tokio::join!(admin.visit(&filter, &mut see), shrink);
    visited.unwrap();
    assert_eq!(shown.len(), 201);
    assert!(shown.values().all(|times| *times == 1), "{shown:?}");
    let steps = commands(&mut raw).await["scan"];
    assert!(steps >= 20, "a hundred keys a step, and once through: {steps}");

    for (filter, keys) in [
        (Filter::all().scope("odd{}"), 100),
        (Filter::all().scope("even"), 101),
        (Filter::all().scope("eve"), 0),
        (Filter::all().state(idem_runtime::protocol::State::Running), 1),
    ] {
        let mut shown = 0;
        admin.visit(&filter, &mut |_| shown += 1).await.unwrap();
        assert_eq!(shown, keys, "{filter:?}");
        assert_eq!(admin.list(filter.limit(1_000)).await.unwrap().len(), keys);
    }
}

/// The last command of each client, as the server lists it.
async fn last_commands(raw: &mut MultiplexedConnection) -> Vec<String> {
    let clients: String = redis::cmd("CLIENT").arg("LIST").query_async(raw).await.unwrap();
    let last = |line: &str| Some(line.split(" cmd=").nth(1)?.split(' ').next()?.to_owned());
    clients.lines().filter_map(last).collect()
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn operators_and_handlers_have_connections_of_their_own() {
    for way in ["its own", "beside", "alone"] {
        let server = Redis::start().await;
        let client = Client::open(server.url()).unwrap();
        let manager = ConnectionManager::new_with_config(client.clone(), ConnectionManagerConfig::new()).await.unwrap();
        let store = match way {
            "its own" => open(&server).await,
            "beside" => RedisStore::options().listen(client).open_with(manager).await.unwrap(),
            _ => RedisStore::open_with(manager).await.unwrap(),
        };
        let admin = store.admin().unwrap();
        admin.list(Filter::all()).await.unwrap();
        execute(&store, "s", &key("k"), &record("r")).await;
        admin.stats().await.unwrap();
        assert!(admin.get("s", &key("k")).await.unwrap().is_some());
        admin.list(Filter::all()).await.unwrap();
        let last = last_commands(&mut raw(&server).await).await;
        // The last command of the script that reads the rows of a step.
        assert!(last.iter().any(|command| command == "exists"), "{way}: {last:?}");
        assert_eq!(last.iter().any(|command| command == "evalsha"), way != "alone", "{way}: {last:?}");
    }
}

/// The script in the docs of `RedisStore`.
fn script(server: &Redis, prefix: &str) -> Output {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../idem-runtime/src/store/redis/stuck.sh");
    let mut command = Command::new("bash");
    command.arg(path).args(["-h", "127.0.0.1", "-p", &server.port().to_string()]).env("PREFIX", prefix);
    command.output().unwrap()
}

fn lines(output: &Output) -> Vec<Vec<String>> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn the_script_prints_the_keys_that_nobody_is_working_on() {
    let server = Redis::start().await;
    let mut raw = raw(&server).await;
    let expected = stuck::leave(&open(&server).await).await;
    // More rows than one step reads, and keys that aren't the store's.
    fill(&mut raw, 1_000).await;
    for other in ["idem:5:stuck:", "idem:x", "idem:1:s:not a row"] {
        redis::cmd("SET").arg(other).arg("1".repeat(48)).exec_async(&mut raw).await.unwrap();
    }
    redis::cmd("LPUSH").arg("idem:1:s:list").arg("x").exec_async(&mut raw).await.unwrap();
    let now: String = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string();
    let mut shown = Vec::new();
    for line in lines(&script(&server, "idem:")) {
        let [scope, key, why, since] = &line[..] else { panic!("{line:?}") };
        assert_eq!(scope, stuck::SCOPE);
        let written = Command::new("date").args(["-u", "+%s", "-d", since]).output().unwrap();
        let written = String::from_utf8(written.stdout).unwrap();
        let age = now.parse::<i64>().unwrap() - written.trim().parse::<i64>().unwrap();
        assert!((-2..60).contains(&age), "{since}");
        shown.push((key.clone(), why.clone()));
    }
    shown.sort();
    assert_eq!(shown, expected);

    // Characters of a pattern in the prefix, and line breaks in scopes and keys.
    let other = RedisStore::options().prefix("i*[d]:").open(&server.url()).await.unwrap();
    let (id, mut claim_of) = (key("a{b}\n"), stuck::SCOPE.to_owned());
    claim_of.push('\t');
    let mut claim = request(&claim_of, &id);
    claim.lease = Duration::from_millis(1);
    acquire(&other, claim).await;
    let line = loop {
        if let Some(line) = lines(&script(&server, "i*[d]:")).pop() {
            break line;
        }
    };
    assert_eq!(line[..3], ["stuck\\x09", "a{b}\\x0a", "abandoned: killed or cut off"]);
    assert_eq!(lines(&script(&server, "nothing:")), [[""; 0]; 0]);
    server.kill();
    let output = script(&server, "idem:");
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn who_may_only_read_can_look_and_changes_nothing() {
    let server = Redis::start().await;
    let mut raw = raw(&server).await;
    let expected = stuck::leave(&open(&server).await).await;
    let mut allow = redis::cmd("ACL");
    allow.arg(&["SETUSER", "reader", "on", ">hunter2", "%R~idem:*", "-@all"]);
    allow.arg(&["+ping", "+time", "+scan", "+get", "+getrange", "+exists"]).exec_async(&mut raw).await.unwrap();
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut raw).await.unwrap();

    let operator = admin::connect(&server.url().replace("127.0.0.1", "reader:hunter2@127.0.0.1")).await.unwrap();
    let orphans = operator.list(Filter::all().orphans()).await.unwrap();
    assert_eq!(orphans.len(), expected.len());
    let (scope, id) = (&orphans[0].scope, &orphans[0].key);
    assert_eq!(operator.get(scope, id).await.unwrap().unwrap().0.row.fence, orphans[0].row.fence);
    assert!(operator.get(scope, &key("unknown")).await.unwrap().is_none());
    let (_, recorded) = operator.get(stuck::SCOPE, &key("done")).await.unwrap().unwrap();
    assert_eq!(recorded, Some(record("r")));
    assert_eq!(operator.stats().await.unwrap().completed, 1);
    operator.resolve(scope, id, Resolution::NotExecuted).await.unwrap_err();
    operator.forget(scope, id).await.unwrap_err();
    assert_eq!(operator.list(Filter::all().orphans()).await.unwrap().len(), expected.len());
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn opening_a_store_for_an_operator_makes_nothing() {
    let server = Redis::start().await;
    let operator = admin::connect(&server.url()).await.unwrap();
    assert!(operator.list(Filter::all()).await.unwrap().is_empty());
    let mut raw = raw(&server).await;
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut raw).await.unwrap();
    let memory: String = redis::cmd("INFO").arg("memory").query_async(&mut raw).await.unwrap();
    assert_eq!(keys, 0);
    assert!(memory.contains("number_of_cached_scripts:0"), "{memory}");
}

#[tokio::test]
async fn a_parameter_that_is_unknown_or_repeated_is_refused() {
    for (url, told) in [
        ("redis://:hunter2@127.0.0.1:1/?db=hunter2", "unknown parameter `db`: it can have `protocol`"),
        ("redis://127.0.0.1:1/?protocol=resp3&protocol=hunter2", "the parameter `protocol` more than once"),
        ("rediss://127.0.0.1:1/?tls=hunter2#insecure", "unknown parameter `tls`"),
        ("unix:///hunter2?database=1", "unknown parameter `database`: it can have `db`, `user`, `pass`, `protocol`"),
        ("redis+unix:///hunter2?pass=hunter2&pass=hunter3", "the parameter `pass` more than once"),
    ] {
        for error in [
            RedisStore::open(url).await.unwrap_err(),
            idem_runtime::connect(url).await.unwrap_err(),
            admin::connect(url).await.map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Config { .. }), "{error:?}");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(told) && !shown.contains("hunter"), "{shown}");
        }
    }
}
