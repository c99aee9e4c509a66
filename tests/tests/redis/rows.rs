//! The store's rows: what they hold, how long they stay, and how a row with other contents is refused.

use std::time::Duration;

use idem_runtime::admin::Filter;
use idem_runtime::store::{CompleteRequest, Leave, Orphans, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, RedisStore, StoreError, idempotent};
use idem_tests::operations::follow_the_protocol;
use idem_tests::server::Redis;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::{DAY, acquire, commands, execute, key, open, raw, record, replay, request, reset_counts};

/// The server lets each row expire at the time at which it may be deleted.
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
    // Sets the expiry as if the time had almost come.
    let _: () = raw.pexpire("idem:1:s:k", 200).await.unwrap();
    store.renew(RenewRequest::new(&claim, fence)).await.unwrap();
    let left: u64 = raw.pttl("idem:1:s:k").await.unwrap();
    assert!(left > 60_000, "{left} ms");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let complete = CompleteRequest::new(&claim, fence, &result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
}

/// After a clock was set back, a row's fence can be ahead of it. The row has to stay until the clock has passed the fence: without it,
/// the next fence could be lower.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r08_a_row_outlives_its_fence_where_the_clock_was_set_back() {
    let server = Redis::start().await;
    let (store, mut raw, result) = (open(&server).await, raw(&server).await, record("r"));
    let admin = store.admin().unwrap();
    for way in ["renewed", "completed", "failed", "unrun", "left by another", "forgotten", "taken over"] {
        let (id, name) = (key(way), format!("idem:1:s:{way}"));
        let mut claim = request("s", &id);
        claim.retain = Some(Duration::ZERO);
        let ahead = acquire(&store, claim).await.fence + 7_200_000_000;
        let _: () = raw.setrange(&name, 24, &ahead.to_be_bytes()).await.unwrap();
        let mut next = request("s", &id);
        next.retain = claim.retain;
        let release = |claim, how| store.release(ReleaseRequest::new(claim, ahead, how));
        let standing = match way {
            "renewed" => store.renew(RenewRequest::new(&claim, ahead)).await,
            "completed" => store.complete(CompleteRequest::new(&claim, ahead, &result, Duration::ZERO)).await,
            "failed" => release(&claim, Leave::Failed).await,
            "unrun" => release(&claim, Leave::NotRun).await,
            "left by another" => release(&next, Leave::NotRun).await,
            "forgotten" => admin.forget("s", &id).await,
            _ => {
                release(&claim, Leave::OutcomeUnknown).await.unwrap();
                assert!(acquire(&store, next).await.fence > ahead);
                Ok(Standing::Held)
            }
        };
        assert_eq!(standing.unwrap(), Standing::Held, "{way}");
        let expires: u64 = redis::cmd("PEXPIRETIME").arg(&name).query_async(&mut raw).await.unwrap();
        assert!(expires > ahead / 1_000, "{way}: {expires}, and the fence is {ahead}");
    }
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

/// The error for a value that isn't a row.
const NO_ROW: &str = "is no row of this store";

/// Asserts that each request about a row that can't be read is refused. If the row were taken for absent, the body would run again.
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
    let beside = raw.clone();
    let completed = async || -> Vec<u8> {
        let mut raw = beside.clone();
        let _: () = raw.del(name).await.unwrap();
        execute(&store, "s", &key("k"), &record("r")).await;
        raw.get(name).await.unwrap()
    };
    // The position of the damaged byte, its new value, and the name of the field in the error.
    let damaged = [
        (0, 0, NO_ROW),
        (0, 2, NO_ROW),
        (1, 0, "`row.st`"),
        (1, 6, "`row.st`"),
        (1, 1, "`row.re`"),
        (2, 0, "`row.pv`"),
        (2, 4, "`row.pv`"),
        (2, 3, "`row.pf`"),
        (3, 4, "`row.db`"),
        (3, 2, "`row.fp`"),
        (3, 8, "`row.en`"),
        (3, 5 * 8, "`row.en`"),
    ];
    for (at, byte, names) in damaged {
        let mut row = completed().await;
        row[at] = byte;
        let _: () = raw.set(name, row).await.unwrap();
        is_refused(&store, names).await;
    }
    // Rows that are cut short. A cut in the record can't be noticed, as its length isn't stored.
    let cuts = [
        (0, NO_ROW),
        (3, NO_ROW),
        (4, "`row.at`"),
        (8, "`row.un`"),
        (23, "`row.pu`"),
        (31, "`row.fe`"),
        (47, "`row.ow`"),
    ];
    for (length, names) in cuts {
        let row = completed().await;
        let _: () = raw.set(name, &row[..length]).await.unwrap();
        is_refused(&store, names).await;
    }
}

#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn r16_what_is_somebody_elses_is_refused_and_left_as_it_is() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let name = "idem:1:s:k";
    for (theirs, names) in [
        (redis::cmd("SET").arg(name).arg("theirs"), NO_ROW),
        (redis::cmd("SET").arg(name).arg("theirs".repeat(2_000)), NO_ROW),
        (redis::cmd("SET").arg(name).arg(5), NO_ROW),
        (redis::cmd("SADD").arg(name).arg("theirs"), NO_ROW),
        (redis::cmd("HSET").arg(name).arg(&["row", "theirs"]), NO_ROW),
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

#[idempotent(key = "id", scope = "orders::charge", store = "store")]
async fn charge(store: &RedisStore, id: &str) -> Result<String, Error> {
    let _ = store;
    Ok("r".repeat(64))
}

/// The docs of `RedisStore` name this figure: the memory of a completed key of 24 bytes with a result of 64.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_completed_key_takes_at_most_300_bytes() {
    const KEYS: u64 = 100_000;
    let server = Redis::start_with(&["--appendonly", "no"]).await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let id = |number: u64| format!("{number:024}");
    let name = |number| format!("idem:14:orders::charge:{}", id(number));
    charge(&store, &id(0)).await.unwrap();
    let one: u64 = redis::cmd("MEMORY").arg("USAGE").arg(name(0)).query_async(&mut raw).await.unwrap();
    let before = used_memory(&mut raw).await;
    for thousand in 0..KEYS / 1_000 {
        let mut copies = redis::pipe();
        for number in 0..1_000 {
            copies.cmd("COPY").arg(name(0)).arg(name(1 + thousand * 1_000 + number)).ignore();
        }
        copies.exec_async(&mut raw).await.unwrap();
    }
    charge(&store, &id(KEYS)).await.unwrap();
    let each = (used_memory(&mut raw).await - before) / KEYS;
    println!("{one} bytes by MEMORY USAGE, {each} by used_memory");
    assert!(one <= 300 && each <= 300, "{one} by MEMORY USAGE, {each} by used_memory");
}

async fn used_memory(raw: &mut MultiplexedConnection) -> u64 {
    let info: String = redis::cmd("INFO").arg("memory").query_async(raw).await.unwrap();
    info.lines().find_map(|line| line.trim_end().strip_prefix("used_memory:")).unwrap().parse().unwrap()
}

/// Large records are read only when they are the answer: while the server copies one, all other requests wait.
#[tokio::test]
#[ignore = "starts redis-server: run by tests/run"]
async fn a_large_record_is_read_only_to_be_answered_with() {
    let server = Redis::start().await;
    let (store, mut raw) = (open(&server).await, raw(&server).await);
    let (id, large) = (key("k"), record(&"r".repeat(1_000_000)));
    let claim = request("s", &id);
    let fence = acquire(&store, claim).await.fence;
    let complete = CompleteRequest::new(&claim, fence, &large, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    reset_counts(&mut raw).await;
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), Standing::Lost);
    assert_eq!(store.release(ReleaseRequest::new(&claim, fence, Leave::Failed)).await.unwrap(), Standing::Lost);
    assert_eq!(listed(&store).await, 1);
    assert!(!commands(&mut raw).await.contains_key("get"));
    assert_eq!(replay(&store, "s", &id).await, large);
    let (_, found) = store.admin().unwrap().get("s", &id).await.unwrap().unwrap();
    assert_eq!(found.unwrap(), large);
    // A caller that gives up its claim doesn't change a completed key.
    let gone = request("s", &id);
    assert_eq!(store.release(ReleaseRequest::new(&gone, 0, Leave::NotRun)).await.unwrap(), Standing::Held);
    assert_eq!(replay(&store, "s", &id).await, large);
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

/// Asserts that a list over several steps of SCAN is complete.
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
