//! What operators ask for, and what it costs the others.

use std::collections::BTreeMap;

use idem_runtime::admin::Filter;
use idem_runtime::{IdempotencyStore, RedisStore};
use idem_tests::server::Redis;
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

/// Each key once, though the server's table shrinks on the way and returns some twice.
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

/// By what the server knows of its clients: the last command of each.
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
        // What reads the rows of a step ends with this.
        assert!(last.iter().any(|command| command == "exists"), "{way}: {last:?}");
        assert_eq!(last.iter().any(|command| command == "evalsha"), way != "alone", "{way}: {last:?}");
    }
}
