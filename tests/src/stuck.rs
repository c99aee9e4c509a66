//! Makes keys that are stuck (no call is working on them, and none will by itself), and keys that aren't.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{ClaimAnswer, Key, Leave, Orphans, ReleaseRequest};

use crate::steps::{DAY, LEASE, acquire, execute, key, record, request};

/// The scope of these keys.
pub const SCOPE: &str = "stuck";

/// The query that the book shows.
pub fn query() -> &'static str {
    let page = include_str!("../../docs/src/operating.md");
    let (_, from) = page.split_once("```sql\n").unwrap();
    from.split_once(";\n```").unwrap().0
}

/// Claims a key; if `how` is given, releases it in this way.
async fn claim(
    store: &impl IdempotencyStore,
    key: &Key,
    lease: Duration,
    retain: Option<Duration>,
    how: Option<Leave>,
) {
    let mut claim = request(SCOPE, key);
    (claim.lease, claim.retain) = (lease, retain);
    let fence = acquire(store, claim).await.fence;
    if let Some(how) = how {
        store.release(ReleaseRequest::new(&claim, fence, how)).await.unwrap();
    }
}

/// Claims a key again and again until its lease is over: a call with `on_crash = "park"` then learns that the outcome is unknown.
async fn is_parked(store: &impl IdempotencyStore, key: &Key) {
    loop {
        let mut park = request(SCOPE, key);
        park.orphans = Orphans::Refuse;
        match store.claim(park).await.unwrap() {
            ClaimAnswer::Orphaned => return,
            ClaimAnswer::InProgress { .. } => tokio::task::yield_now().await,
            other => panic!("an orphan, not {other:?}"),
        }
    }
}

/// Makes keys in every state. Returns each stuck key and why it is stuck, in the order of the keys.
pub async fn leave(store: &impl IdempotencyStore) -> Vec<(String, String)> {
    const INSTANT: Duration = Duration::from_millis(1);
    let mut stuck = Vec::new();
    for (state, retain) in [("parked", None), ("abandoned", Some(DAY))] {
        for (became, lease, how) in [
            ("killed or cut off", INSTANT, None),
            ("dropped or panicked", LEASE, Some(Leave::OutcomeUnknown)),
            ("kept after an error", INSTANT, Some(Leave::Keep)),
        ] {
            let (tenant, order) = (state, became.replace(' ', "-"));
            let key = Key::of(&(tenant, order.as_str())).unwrap();
            claim(store, &key, lease, retain, how).await;
            is_parked(store, &key).await;
            stuck.push((format!("{tenant}/{order}"), format!("{state}: {became}")));
        }
    }
    for (id, how) in [
        ("running", None),
        ("kept", Some(Leave::Keep)),
        ("failed", Some(Leave::Failed)),
        ("not run", Some(Leave::NotRun)),
    ] {
        claim(store, &key(id), LEASE, None, how).await;
    }
    execute(store, SCOPE, &key("done"), &record("r")).await;
    claim(store, &key("alone"), LEASE, None, Some(Leave::OutcomeUnknown)).await;
    stuck.push(("alone".to_owned(), "parked: dropped or panicked".to_owned()));
    stuck.sort();
    stuck
}
