//! The number of round trips of an operation, counted as requests that are sent to MariaDB, and as statements in PostgreSQL's log.

use idem_runtime::admin::Filter;
use idem_runtime::protocol::State;
use idem_runtime::store::{ClaimAnswer, CompleteRequest, Leave, Orphans, ReleaseRequest, RenewRequest, Standing};
use idem_runtime::{Error, IdempotencyStore, idempotent};
use idem_tests::Gate;
use idem_tests::steps::{DAY, acquire, key, record};

use super::{Counted, Store};
use crate::{ask, charge};

#[idempotent(key = "id", store = store, on_crash = "park")]
async fn park(store: &Store, id: &str, gate: &Gate) -> Result<String, Error> {
    gate.pass().await;
    Ok(format!("charged {id}"))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r11_a_call_is_one_round_trip_on_every_path() {
    let counted = Counted::start().await;
    let store = &counted.store;
    counted.taken();
    assert!(!charge(store, "order").await.unwrap().is_replayed());
    assert_eq!(counted.taken(), 2, "a first execution");
    assert!(charge(store, "order").await.unwrap().is_replayed());
    assert_eq!(counted.taken(), 1, "a duplicate");

    let gate = Gate::default();
    let mut parked = Box::pin(park(store, "order", &gate));
    tokio::select! {
        ended = &mut parked => panic!("it waits, and ended with {ended:?}"),
        () = gate.started() => {}
    }
    assert_eq!(counted.taken(), 1, "a claim");
    assert!(matches!(park(store, "order", &gate).await, Err(Error::InProgress { .. })));
    assert_eq!(counted.taken(), 1, "a duplicate of a running key");
    drop(parked);
    let admin = store.admin().unwrap();
    while admin.list(Filter::all().state(State::Unknown)).await.unwrap().is_empty() {}
    counted.taken();
    assert!(matches!(park(store, "order", &gate).await, Err(Error::OutcomeUnknown { .. })));
    assert_eq!(counted.taken(), 1, "a duplicate of a parked one");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r11_an_operation_is_one_round_trip_on_every_path() {
    let counted = Counted::start().await;
    let store = &counted.store;
    let (free, record) = (key("free"), record("r"));
    counted.taken();
    let request = ask(&free);
    let grant = acquire(store, request).await;
    assert_eq!(counted.taken(), 1, "a claim that wins");
    assert!(matches!(store.claim(ask(&free)).await.unwrap(), ClaimAnswer::InProgress { .. }));
    assert_eq!(counted.taken(), 1, "one that finds the key running");
    assert_eq!(store.renew(RenewRequest::new(&request, grant.fence)).await.unwrap(), Standing::Held);
    assert_eq!(counted.taken(), 1, "a renewal");
    store.release(ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
    assert_eq!(counted.taken(), 1, "a release");
    let mut refusing = ask(&free);
    refusing.orphans = Orphans::Refuse;
    assert_eq!(store.claim(refusing).await.unwrap(), ClaimAnswer::Orphaned);
    assert_eq!(counted.taken(), 1, "one that finds it parked");
    store.release(ReleaseRequest::new(&refusing, 0, Leave::NotRun)).await.unwrap();
    assert_eq!(counted.taken(), 1, "a call that gives up");
    let request = ask(&free);
    let grant = acquire(store, request).await;
    assert_eq!(counted.taken(), 1, "a takeover");
    store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await.unwrap();
    assert_eq!(counted.taken(), 1, "a completion");
    assert_eq!(store.complete(CompleteRequest::new(&request, 1, &record, DAY)).await.unwrap(), Standing::Lost);
    assert_eq!(counted.taken(), 2, "one that is refused, and looks whether there is a row");
    assert_eq!(store.claim(ask(&free)).await.unwrap(), ClaimAnswer::Completed(record));
    assert_eq!(counted.taken(), 1, "a duplicate");
}
