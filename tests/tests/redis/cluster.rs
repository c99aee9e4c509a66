//! A cluster of three servers.

use std::time::Duration;

use idem_runtime::RedisStore;
use idem_runtime::admin::Filter;
use idem_runtime::conformance::Suite;

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{ClaimAnswer, Key, Standing};
use idem_tests::server::{Redis, free_port};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;

use crate::failover::{pid, signal};
use crate::{execute, key, raw, record, replay, request};

/// Three primaries that share the 16,384 slots.
async fn cluster() -> [Redis; 3] {
    // By default, a node's bus port is 10,000 above its own, which is in the range of outgoing connections.
    let bus = [free_port(), free_port(), free_port()];
    let node = async |nth: usize| {
        let port = bus[nth].to_string();
        let timeout = ["--cluster-node-timeout", "2000"];
        Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &port, timeout[0], timeout[1]]).await
    };
    let nodes = [node(0).await, node(1).await, node(2).await];
    for (nth, node) in nodes.iter().enumerate() {
        let mut raw = raw(node).await;
        let (first, last) = ([0, 5_462, 10_924][nth], [5_461, 10_923, 16_383][nth]);
        redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last).exec_async(&mut raw).await.unwrap();
        let mut meet = redis::cmd("CLUSTER");
        meet.arg("MEET").arg("127.0.0.1").arg(nodes[0].port()).arg(bus[0]);
        meet.exec_async(&mut raw).await.unwrap();
    }
    for node in &nodes {
        let mut raw = raw(node).await;
        loop {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut raw).await.unwrap();
            let slots: Vec<redis::Value> = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut raw).await.unwrap();
            if info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3") && slots.len() == 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    nodes
}

async fn connect(nodes: &[Redis; 3]) -> ClusterConnection {
    let builder = ClusterClientBuilder::new([nodes[0].url()]).response_timeout(Duration::from_secs(10));
    builder.build().unwrap().get_async_connection().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_cluster_is_a_store() {
    let nodes = cluster().await;
    let open = async || {
        let listen = redis::Client::open(nodes[2].url()).unwrap();
        RedisStore::options().listen(listen).open_with_cluster(connect(&nodes).await).await.unwrap()
    };
    Suite::new().processes(2).run(open).await;
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn an_operator_sees_every_node() {
    let nodes = cluster().await;
    let store = RedisStore::options().open_with_cluster(connect(&nodes).await).await.unwrap();
    for number in 0..60 {
        execute(&store, "s", &key(format!("{number:02}")), &record("r")).await;
    }
    for node in &nodes {
        let size: u32 = redis::cmd("DBSIZE").query_async(&mut raw(node).await).await.unwrap();
        assert!(size > 5, "each node has its share: {size}");
    }
    let admin = store.admin().unwrap();
    let all = admin.list(Filter::all()).await.unwrap();
    let keys: Vec<String> = all.iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(keys, (0..60).map(|number| format!("{number:02}")).collect::<Vec<_>>());
    assert_eq!(admin.stats().await.unwrap().completed, 60);
    assert_eq!(admin.forget("s", &key("00")).await.unwrap(), Standing::Held);
}

/// Adds a server to the cluster as a replica of this node.
async fn replica(of: &Redis) -> Redis {
    let bus = free_port().to_string();
    let replica = Redis::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await;
    let (mut raw, mut primary) = (raw(&replica).await, raw(of).await);
    let id: String = redis::cmd("CLUSTER").arg("MYID").query_async(&mut primary).await.unwrap();
    let mut meet = redis::cmd("CLUSTER");
    meet.arg("MEET").arg("127.0.0.1").arg(replica.port()).arg(bus).exec_async(&mut primary).await.unwrap();
    while redis::cmd("CLUSTER").arg(&["REPLICATE", &id]).exec_async(&mut raw).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    while redis::cmd("WAIT").arg(1).arg(100).query_async::<u32>(&mut primary).await.unwrap() == 0 {}
    replica
}

/// The replicas of the node that has the key are the ones that have to confirm.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn replicas_of_a_cluster_confirm() {
    let nodes = cluster().await;
    let guarded = async || {
        let options = RedisStore::options().wait_replicas(1, Duration::from_millis(300));
        options.open_with_cluster(connect(&nodes).await).await
    };
    let replicas = [replica(&nodes[0]).await, replica(&nodes[1]).await];
    let error = guarded().await.unwrap_err().to_string();
    assert!(error.contains("0 of 1 replicas"), "the third node has no replica: {error}");
    let last = replica(&nodes[2]).await;
    let store = guarded().await.unwrap();
    execute(&store, "s", &key("k"), &record("r")).await;
    drop((replicas, last));
    let error = store.claim(request("s", &key("another"))).await.unwrap_err();
    assert!(error.is_unanswered() && error.to_string().contains("0 of 1 replicas"), "{error}");
    let options = RedisStore::options().wait_replicas(0, Duration::from_millis(50));
    let store = options.open_with_cluster(connect(&nodes).await).await.unwrap();
    execute(&store, "s", &key("other"), &record("r")).await;
    assert_eq!(replay(&store, "s", &key("other")).await, record("r"));
}

/// Keys of each node.
async fn keys_by_node(nodes: &[Redis; 3]) -> [Vec<Key>; 3] {
    let mut raw = raw(&nodes[0]).await;
    let mut keys = [const { Vec::new() }; 3];
    for number in 0..60 {
        let mut ask = redis::cmd("CLUSTER");
        let slot: usize = ask.arg("KEYSLOT").arg(format!("idem:1:s:{number}")).query_async(&mut raw).await.unwrap();
        keys[slot / 5_462].push(key(format!("{number}")));
    }
    keys
}

/// Callers wait in a group for each node. Calls on other nodes go on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_stopped_replica_holds_up_no_other_node() {
    let nodes = cluster().await;
    let replicas = [replica(&nodes[0]).await, replica(&nodes[1]).await, replica(&nodes[2]).await];
    let options = RedisStore::options().wait_replicas(1, Duration::from_secs(8));
    let store = options.open_with_cluster(connect(&nodes).await).await.unwrap();
    let keys = keys_by_node(&nodes).await;
    let mut at_first = raw(&nodes[0]).await;
    let pid = pid(&replicas[0]).await;
    signal(pid, libc::SIGSTOP);
    let others = async {
        let first = format!("idem:1:s:{}", keys[0][0]);
        while !redis::cmd("EXISTS").arg(&first).query_async::<bool>(&mut at_first).await.unwrap() {}
        for id in keys[1].iter().chain(&keys[2]) {
            execute(&store, "s", id, &record("r")).await;
        }
    };
    let first = store.claim(request("s", &keys[0][0]));
    let mut first = std::pin::pin!(first);
    tokio::select! {
        biased;
        answer = &mut first => panic!("no other node has answered yet: {answer:?}"),
        () = others => signal(pid, libc::SIGCONT),
    }
    assert!(matches!(first.await.unwrap(), ClaimAnswer::Acquired(_)));
}

/// While the store still believes that all these keys are on one node, some have moved to another. These are confirmed there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn keys_that_have_moved_are_confirmed_where_they_are() {
    let nodes = cluster().await;
    let replicas = [replica(&nodes[0]).await, replica(&nodes[1]).await, replica(&nodes[2]).await];
    let options = RedisStore::options().wait_replicas(1, Duration::from_secs(5));
    let store = options.open_with_cluster(connect(&nodes).await).await.unwrap();
    let keys = keys_by_node(&nodes).await;
    // Moves the second half of the first node's slots.
    let to: String = redis::cmd("CLUSTER").arg("MYID").query_async(&mut raw(&nodes[1]).await).await.unwrap();
    for server in [&nodes[1], &nodes[0], &nodes[2], &replicas[0], &replicas[1], &replicas[2]] {
        let mut set = redis::pipe();
        for slot in 2_731..5_462 {
            set.cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("NODE").arg(&to).ignore();
        }
        // A replica refuses this command, and learns of the change from the other nodes.
        let _ = set.exec_async(&mut raw(server).await).await;
    }
    let mut claims = tokio::task::JoinSet::new();
    for id in keys.into_iter().flatten() {
        let store = store.clone();
        claims.spawn(async move { store.claim(request("s", &id)).await.unwrap() });
    }
    for answer in claims.join_all().await {
        assert!(matches!(answer, ClaimAnswer::Acquired(_)), "{answer:?}");
    }
}

/// For a Redis cluster, text in braces is a hash tag. Braces in a key of the application's must not keep all keys on one node.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn keys_spread_whatever_is_in_them() {
    let nodes = cluster().await;
    let store = RedisStore::options().open_with_cluster(connect(&nodes).await).await.unwrap();
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..600 {
        let (store, id) = (store.clone(), key(format!("{{tag}}:{number}")));
        claims.spawn(async move { execute(&store, "s", &id, &record("r")).await });
    }
    claims.join_all().await;
    for node in &nodes {
        let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut raw(node).await).await.unwrap();
        assert!(keys.len() > 100, "{} of 600", keys.len());
    }
    assert_eq!(replay(&store, "s", &key("{tag}:0")).await, record("r"));
    let admin = store.admin().unwrap();
    assert_eq!(admin.list(Filter::all().scope("s").limit(1_000)).await.unwrap().len(), 600);
    let mut shown = 0;
    admin.visit(&Filter::all(), &mut |_| shown += 1).await.unwrap();
    assert_eq!(shown, 600);
}

/// The driver has no time-out unless it is given one, so the store needs its own.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_node_that_stands_still_is_not_waited_for_without_end() {
    let nodes = cluster().await;
    let patient = ClusterClientBuilder::new([nodes[0].url()]).build().unwrap().get_async_connection().await.unwrap();
    let store = RedisStore::options().open_with_cluster(patient).await.unwrap();
    let pid = pid(&nodes[1]).await;
    signal(pid, libc::SIGSTOP);
    let keys = keys_by_node(&nodes).await;
    let asked = tokio::time::timeout(Duration::from_secs(60), store.claim(request("s", &keys[1][0]))).await;
    let error = asked.expect("the request has no time-out").unwrap_err();
    assert!(error.is_unanswered(), "{error}");
    signal(pid, libc::SIGCONT);
}
