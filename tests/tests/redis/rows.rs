//! What the rows hold, for how long, and what comes of a row that holds something else.

use std::time::Duration;

use idem_runtime::admin::Filter;
use idem_runtime::store::{CompleteRequest, Leave, Orphans, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{IdempotencyStore, RedisStore, StoreError};
use idem_tests::operations::follow_the_protocol;
use idem_tests::server::Redis;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::{DAY, acquire, execute, key, open, raw, record, replay, request};

/// Each row expires when it may be deleted.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn rows_are_what_the_protocol_says() {
    let server = Redis::start_with(&["--appendonly", "no"]).await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    follow_the_protocol(&store, async |row| {
        let expires: i64 = redis::cmd("PEXPIRETIME").arg("idem:1:s:k").query_async(&mut raw).await.unwrap();
        let purge = row.purge_at.map_or(-1, |at| at.div_ceil(1_000) as i64);
        assert_eq!(expires, purge, "{row:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r06_a_lease_that_is_renewed_outlives_its_first_expiry() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let (id, result) = (key("k"), record("r"));
    let mut claim = request("s", &id);
    claim.retain = Some(Duration::ZERO);
    let fence = acquire(&store, claim).await.fence;
    // As if its time had almost come.
    let _: () = raw.pexpire("idem:1:s:k", 200).await.unwrap();
    store.renew(RenewRequest::new(&claim, fence)).await.unwrap();
    let left: u64 = raw.pttl("idem:1:s:k").await.unwrap();
    assert!(left > 60_000, "{left} ms");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r13_a_parked_key_does_not_expire() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let (id, result) = (key("k"), record("r"));
    let mut claim = request("s", &id);
    (claim.retain, claim.orphans) = (None, Orphans::Refuse);
    let mut left = async || -> i64 { raw.pttl("idem:1:s:k").await.unwrap() };
    let fence = acquire(&store, claim).await.fence;
    assert_eq!(left().await, -1, "running");
    store.renew(RenewRequest::new(&claim, fence)).await.unwrap();
    assert_eq!(left().await, -1, "renewed");
    store.release(ReleaseRequest::new(&claim, fence, Leave::OutcomeUnknown)).await.unwrap();
    assert_eq!(left().await, -1, "unknown");
    store.complete(CompleteRequest::new(&claim, fence, &result, DAY)).await.unwrap();
    let left = left().await;
    assert!((86_400_000..=86_460_001).contains(&left), "a completed key does: {left} ms");
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, StoreError>, names: &str) {
    let error = answer.unwrap_err();
    assert!(!error.is_unanswered(), "{error}");
    assert!(error.to_string().contains("key `k` in scope `s`"), "{error}");
    assert!(error.to_string().contains(names), "{error}");
}

/// What is told of something else than a row.
const NO_ROW: &str = "is no row of this store";

/// Nobody takes a row that can't be read for none: the body would run again.
async fn is_refused(store: &RedisStore, names: &str) {
    let (id, result) = (key("k"), record("r"));
    let admin = store.admin().unwrap();
    let claim = request("s", &id);
    refusal(store.claim(claim).await, names);
    refusal(store.renew(RenewRequest::new(&claim, 1)).await, names);
    refusal(store.complete(CompleteRequest::new(&claim, 1, &result, DAY)).await, names);
    refusal(store.release(ReleaseRequest::new(&claim, 1, Leave::Failed)).await, names);
    refusal(store.release(ReleaseRequest::new(&claim, 1, Leave::NotRun)).await, names);
    refusal(admin.get("s", &id).await, names);
    refusal(admin.list(Filter::all()).await, names);
    refusal(admin.forget("s", &id).await, names);
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r16_a_corrupted_row_is_refused() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let name = "idem:1:s:k";
    // By the number of the part that is damaged, and what it is called.
    let damaged: [(usize, &str, &[u8]); 17] = [
        (0, "st", b"9"),
        (0, "st", b""),
        (1, "un", b"soon"),
        (1, "un", b""),
        (2, "pu", b"never"),
        (3, "db", b"x"),
        (4, "fe", b"-1"),
        (4, "fe", b"0x10"),
        (4, "fe", b""),
        (5, "at", b""),
        (5, "at", b"1.5"),
        (6, "pv", b"4"),
        (6, "pv", b"3"),
        (7, "pv", b"7"),
        (8, "has", b""),
        (8, "has", b"2"),
        (9, "en", b"no sixteen bytes at all"),
    ];
    for (nth, names, value) in damaged {
        execute(&store, "s", &key("k"), &record("r")).await;
        let row: Vec<u8> = raw.hget(name, "row").await.unwrap();
        let mut parts: Vec<&[u8]> = row.splitn(10, |byte| *byte == b',').collect();
        parts[nth] = value;
        let _: () = raw.hset(name, "row", parts.join(&b',')).await.unwrap();
        is_refused(&store, &format!("`row.{names}`")).await;
        let _: () = raw.del(name).await.unwrap();
    }
    // Cut short, or too long.
    execute(&store, "s", &key("k"), &record("r")).await;
    let row: Vec<u8> = raw.hget(name, "row").await.unwrap();
    let owner = row.len() - 16;
    for (damaged, names) in [
        (row[..7].to_vec(), "row.un"),
        (row[..owner].to_vec(), "row.ow"),
        ([&row[..], &[7; 80]].concat(), "row.en"),
        ([&row[..owner - 2], b"1,", &row[owner..]].concat(), "row.fp"),
    ] {
        let _: () = raw.hset(name, "row", damaged).await.unwrap();
        is_refused(&store, &format!("`{names}`")).await;
    }
    // No text at all, and the record without the row.
    let _: () = raw.hset(name, "row", "").await.unwrap();
    is_refused(&store, NO_ROW).await;
    let _: () = raw.hdel(name, "row").await.unwrap();
    is_refused(&store, NO_ROW).await;
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r16_what_is_somebody_elses_is_refused_and_left_as_it_is() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let name = "idem:1:s:k";
    for (theirs, names) in [
        (redis::cmd("SET").arg(name).arg("theirs"), NO_ROW),
        (redis::cmd("SADD").arg(name).arg("theirs"), NO_ROW),
        (redis::cmd("HSET").arg(name).arg(&["cents", "5"]), NO_ROW),
        (redis::cmd("HSET").arg(name).arg(&["row", "theirs", "cents", "5"]), "`row.st`"),
        (redis::cmd("HSET").arg(name).arg(&["row", "5,hello", "cents", "5"]), "`row.un`"),
    ] {
        theirs.exec_async(&mut raw).await.unwrap();
        let before: Vec<u8> = redis::cmd("DUMP").arg(name).query_async(&mut raw).await.unwrap();
        is_refused(&store, names).await;
        let after: Vec<u8> = redis::cmd("DUMP").arg(name).query_async(&mut raw).await.unwrap();
        assert_eq!(before, after, "{names}");
        assert_eq!(raw.pttl::<_, i64>(name).await.unwrap(), -1, "nor does it expire");
        let _: () = raw.del(name).await.unwrap();
    }
    acquire(&store, request("s", &key("k"))).await;
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn keys_are_binary_safe_and_prefixes_apart() {
    let server = Redis::start().await;
    let one = open(&server).await;
    let other = RedisStore::options().prefix("idem:[x]*").open(&server.url()).await.unwrap();
    let mut raw = raw(&server).await;
    let _: () = raw.set("idem:not-a-row", "1").await.unwrap();
    for scope in ["", "s", "S", "s\0", "1:s"] {
        for bytes in [&b"k"[..], b"K", b"k\0", b"\xff\xfe", b"{k}", b":"] {
            let id = idem_runtime::store::Key::from_bytes(bytes).unwrap();
            execute(&one, scope, &id, &record(&format!("one {scope} {bytes:?}"))).await;
            execute(&other, scope, &id, &record(&format!("other {scope} {bytes:?}"))).await;
            assert_eq!(replay(&one, scope, &id).await, record(&format!("one {scope} {bytes:?}")));
            assert_eq!(replay(&other, scope, &id).await, record(&format!("other {scope} {bytes:?}")));
        }
    }
    assert_eq!(listed(&one).await, 30);
    assert_eq!(listed(&other).await, 30);
    assert_eq!(one.admin().unwrap().stats().await.unwrap().completed, 30);
    assert_lists_many(&one, &mut raw).await;
}

async fn listed(store: &RedisStore) -> usize {
    store.admin().unwrap().list(Filter::all()).await.unwrap().len()
}

/// More than one step of a scan goes through.
async fn assert_lists_many(store: &RedisStore, raw: &mut MultiplexedConnection) {
    let mut pipeline = redis::pipe();
    for number in 0..5_000 {
        pipeline.set(format!("other:{number}"), 1).ignore();
    }
    pipeline.exec_async(raw).await.unwrap();
    for number in 0..50 {
        execute(store, "many", &key(format!("{number:02}")), &record("r")).await;
    }
    let page = store.admin().unwrap().list(Filter::all().scope("many").limit(7)).await.unwrap();
    let keys: Vec<String> = page.iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(keys, ["00", "01", "02", "03", "04", "05", "06"]);
    let next = store.admin().unwrap().list(Filter::all().scope("many").limit(1).after(&page[6])).await.unwrap();
    assert_eq!(next[0].key.to_string(), "07");
}
