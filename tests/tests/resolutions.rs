//! An operator resolves keys, and their duplicates get what the operator said.

use std::time::Duration;

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::store::{CompleteRequest, Fingerprint, Key, Leave, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{AnyStore, Error, IdempotencyAdmin, IdempotencyStore as _, MemoryStore, Outcome, idempotent};
use idem_tests::server::Kind;
use idem_tests::steps::{DAY, acquire, key, record, request};

const SCOPE: &str = "resolutions";

#[idempotent(key = "id", scope = "resolutions", store = store, on_crash = "park")]
async fn charge(store: &AnyStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok(format!("charged {id}").into())
}

/// Claims a key, and leaves it with an unknown outcome. Returns the claim and its fence.
async fn parked<'k>(store: &AnyStore, key: &'k Key) -> (idem_runtime::store::ClaimRequest<'k>, u64) {
    let claim = request(SCOPE, key);
    let fence = acquire(store, claim).await.fence;
    let left = ReleaseRequest::new(&claim, fence, Leave::OutcomeUnknown);
    assert_eq!(store.release(left).await.unwrap(), Standing::Held);
    (claim, fence)
}

async fn says(store: &AnyStore, key: &Key, resolution: Resolution) -> Standing {
    store.admin().unwrap().resolve(SCOPE, key, resolution).await.unwrap()
}

fn executed<T: serde::Serialize + ?Sized>(result: &T) -> Resolution {
    Resolution::executed(result, DAY).unwrap()
}

/// A store accepts a resolution whose result is not of the handler's type, as stores don't know types. The operator can look at
/// the record, and replace it.
async fn wrong_resolution_is_replaced(store: &AnyStore) {
    let (id, admin) = (key("wrong"), store.admin().unwrap());
    parked(store, &id).await;
    assert!(matches!(charge(store, "wrong").await, Err(Error::OutcomeUnknown { .. })));
    assert_eq!(says(store, &id, executed(&42_u8)).await, Standing::Held);
    assert!(matches!(charge(store, "wrong").await, Err(Error::Decode { .. })));

    let (entry, kept) = admin.get(SCOPE, &id).await.unwrap().unwrap();
    assert!(entry.is_resolution() && !entry.is_orphan());
    assert_eq!(kept.unwrap().describe(), "result: 42");
    assert_eq!(says(store, &id, Resolution::NotExecuted).await, Standing::Lost);
    assert_eq!(says(store, &id, executed("receipt-42")).await, Standing::Held);
    assert_eq!(charge(store, "wrong").await.unwrap(), Outcome::Replayed("receipt-42".to_owned()));

    assert_eq!(admin.forget(SCOPE, &id).await.unwrap(), Standing::Held);
    assert_eq!(charge(store, "wrong").await.unwrap(), Outcome::Executed("charged wrong".to_owned()));
}

/// An operator can't replace what a handler recorded: a first call, one that completed late, or one that took over an orphan.
async fn handlers_record_is_not_replaced(store: &AnyStore) {
    charge(store, "first").await.unwrap();
    let (late, taken) = (key("late"), key("taken"));
    let charged = executed("charged late");
    let Resolution::Executed { record: charged, .. } = charged else { unreachable!() };
    let (claim, fence) = parked(store, &late).await;
    assert_eq!(store.complete(CompleteRequest::new(&claim, fence, &charged, DAY)).await.unwrap(), Standing::Held);
    parked(store, &taken).await;
    let claim = request(SCOPE, &taken);
    let fence = acquire(store, claim).await.fence;
    assert_eq!(store.complete(CompleteRequest::new(&claim, fence, &charged, DAY)).await.unwrap(), Standing::Held);
    for (id, result) in [("first", "charged first"), ("late", "charged late"), ("taken", "charged late")] {
        for resolution in [executed("something else"), Resolution::NotExecuted] {
            assert_eq!(says(store, &key(id), resolution).await, Standing::Lost, "{id}");
        }
        assert_eq!(charge(store, id).await.unwrap(), Outcome::Replayed(result.to_owned()), "{id}");
    }
}

/// Each resolution gets a new fence, higher than that of the holder. So the holder can do nothing with the key any more.
async fn holder_of_a_resolved_key_is_shut_out(store: &AnyStore) {
    let (id, admin) = (key("held"), store.admin().unwrap());
    let (claim, mut fence) = parked(store, &id).await;
    for result in ["receipt-1", "receipt-2"] {
        let held = fence;
        assert_eq!(says(store, &id, executed(result)).await, Standing::Held);
        fence = admin.get(SCOPE, &id).await.unwrap().unwrap().0.row.fence;
        assert!(fence > held, "{fence} after {held}");
        assert_eq!(store.renew(RenewRequest::new(&claim, held)).await.unwrap(), Standing::Lost);
        let late = record("late");
        assert_eq!(store.complete(CompleteRequest::new(&claim, held, &late, DAY)).await.unwrap(), Standing::Lost);
        for how in [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep] {
            assert_eq!(store.release(ReleaseRequest::new(&claim, held, how)).await.unwrap(), Standing::Lost);
        }
        assert_eq!(charge(store, "held").await.unwrap(), Outcome::Replayed(result.to_owned()));
    }
}

async fn each(store: AnyStore) {
    wrong_resolution_is_replaced(&store).await;
    handlers_record_is_not_replaced(&store).await;
    holder_of_a_resolved_key_is_shut_out(&store).await;
}

#[tokio::test]
async fn r07_an_operators_record_is_replaced_and_a_handlers_is_not_in_embedded_stores() {
    each(AnyStore::new(MemoryStore::new())).await;
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("keys.db").display());
    each(idem_runtime::connect(&url).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn r07_an_operators_record_is_replaced_and_a_handlers_is_not_on_servers() {
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
        let server = kind.start().await;
        each(idem_runtime::connect(&server.url()).await.unwrap()).await;
    }
}

/// The `Debug` forms of what an operator's program gets hold neither a result nor a fingerprinted value.
#[tokio::test]
async fn r19_no_debug_form_of_what_an_operator_sees_shows_a_value() {
    let store = MemoryStore::new();
    let id = key("order-1");
    let mut claim = request(SCOPE, &id);
    claim.fingerprint = Some(Fingerprint(*b"hunter2 hunter2."));
    let fence = acquire(&store, claim).await.fence;
    let Resolution::Executed { record, .. } = executed("hunter2") else { unreachable!() };
    let complete = CompleteRequest::new(&claim, fence, &record, DAY);
    assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);

    let shown = [
        format!("{:?}", store.get(SCOPE, &id).await.unwrap().expect("it is completed")),
        format!("{:?}", store.list(Filter::all()).await.unwrap()),
        format!("{:?}", store.claim(request(SCOPE, &id)).await.unwrap()),
        format!("{record:?} {complete:?} {claim:?} {:?}", executed("hunter2")),
        format!("{:?}", Resolution::executed("hunter2", Duration::ZERO)),
    ];
    for text in shown {
        // The value as a text, as a list of numbers, and in hexadecimal digits.
        for value in ["hunter", "104, 117", "68756e", "68, 75"] {
            assert!(!text.contains(value), "{text}");
        }
    }
    assert_eq!(record.describe(), r#"result: "hunter2""#);
}
