//! The requests that the library sends around a handler, one function for each. They are for tests of a store alone.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_runtime::admin::Resolution;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Grant, Key, Owner, Record, Standing};

/// The lease of the claims.
pub const LEASE: Duration = Duration::from_secs(60);
/// The ttl of the records.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A key.
pub fn key(text: impl AsRef<str>) -> Key {
    Key::from_bytes(text.as_ref().as_bytes()).unwrap()
}

/// A record.
pub fn record(text: &str) -> Record {
    Record::from_bytes(text.as_bytes())
}

/// The record of a handler that returned this.
pub fn result(value: &impl serde::Serialize) -> Record {
    match Resolution::executed(value, DAY) {
        Ok(Resolution::Executed { record, .. }) => record,
        other => panic!("it can be recorded: {other:?}"),
    }
}

/// The claim of a new owner.
pub fn request<'a>(scope: &'a str, key: &'a Key) -> ClaimRequest<'a> {
    ClaimRequest::new(scope, key, Owner::random(), LEASE)
}

/// Claims a key that is free.
pub async fn acquire(store: &impl IdempotencyStore, request: ClaimRequest<'_>) -> Grant {
    match store.claim(request).await.unwrap() {
        ClaimAnswer::Acquired(grant) => grant,
        other => panic!("acquired, not {other:?}"),
    }
}

/// Claims a key and completes it.
pub async fn execute(store: &impl IdempotencyStore, scope: &str, key: &Key, result: &Record) -> Grant {
    let request = request(scope, key);
    let grant = acquire(store, request).await;
    let complete = CompleteRequest::new(&request, grant.fence, result, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
    grant
}

/// Claims a completed key, and returns the record that the duplicate gets.
pub async fn replay(store: &impl IdempotencyStore, scope: &str, key: &Key) -> Record {
    match store.claim(request(scope, key)).await.unwrap() {
        ClaimAnswer::Completed(record) => record,
        other => panic!("completed, not {other:?}"),
    }
}
