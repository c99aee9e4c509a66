//! Lease mode and tx mode keep their keys in one table, and each respects the rows that the other wrote.

use std::time::Duration;

use idem_runtime::admin::{Filter, Resolution};
use idem_runtime::protocol::State;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, Leave, Orphans, Owner, ReleaseRequest};
use idem_runtime::{Error, IdempotencyStore as _, Outcome};

use super::super::{BOOK, Bench, book};
use super::{DAY, LEASE, booked, key, recorded};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn what_lease_mode_knows_of_a_key_holds_in_tx_mode() {
    let bench = Bench::new().await;
    let store = bench.store().await;

    recorded(&bench, "done", &7_u64, DAY).await;
    assert_eq!(booked(&bench, "done", 1).await.unwrap(), Outcome::Replayed(7));

    recorded(&bench, "over", &7_u64, Duration::from_micros(1)).await;
    assert_eq!(booked(&bench, "over", 1).await.unwrap(), Outcome::Executed(1));

    let (running, failed, orphaned, parked) = (key("running"), key("failed"), key("orphaned"), key("parked"));
    for (key, how) in [
        (&running, None),
        (&failed, Some(Leave::Failed)),
        (&orphaned, Some(Leave::OutcomeUnknown)),
        (&parked, Some(Leave::OutcomeUnknown)),
    ] {
        let mut request = ClaimRequest::new(BOOK, key, Owner::random(), LEASE);
        if key == &parked {
            (request.orphans, request.retain) = (Orphans::Refuse, None);
        }
        let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("{key} is taken") };
        if let Some(how) = how {
            store.release(ReleaseRequest::new(&request, grant.fence, how)).await.unwrap();
        }
    }
    let error = booked(&bench, "running", 1).await.unwrap_err().refusal();
    let left = error.retry_after().expect("a live lease");
    assert!(left > LEASE / 2 && left <= LEASE, "{left:?}");
    assert_eq!(booked(&bench, "failed", 1).await.unwrap(), Outcome::Executed(1));
    assert_eq!(booked(&bench, "orphaned", 1).await.unwrap(), Outcome::Executed(1));
    let error = booked(&bench, "parked", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    store.admin().unwrap().resolve(BOOK, &parked, Resolution::NotExecuted).await.unwrap();
    assert_eq!(booked(&bench, "parked", 1).await.unwrap(), Outcome::Executed(1));

    let entries = store.admin().unwrap().list(Filter::all().scope(BOOK)).await.unwrap();
    let attempts = entries.iter().map(|entry| (entry.key.to_string(), entry.row.state, entry.row.attempt));
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [
            ("done".to_owned(), State::Done, 1),
            ("failed".to_owned(), State::Done, 2),
            ("orphaned".to_owned(), State::Done, 2),
            ("over".to_owned(), State::Done, 1),
            ("parked".to_owned(), State::Done, 2),
            ("running".to_owned(), State::Running, 1),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn what_tx_mode_knows_of_a_key_holds_in_lease_mode() {
    let bench = Bench::new().await;
    booked(&bench, "a", 7).await.unwrap();
    let store = bench.store().await;
    let key = key("a");
    let request = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let ClaimAnswer::Completed(record) = store.claim(request).await.unwrap() else { panic!("it is completed") };

    let admin = store.admin().unwrap();
    let (entry, kept) = admin.get(BOOK, &key).await.unwrap().expect("it is there");
    assert_eq!((entry.row.state, kept.as_ref()), (State::Done, Some(&record)));
    assert_eq!(admin.stats().await.unwrap().completed, 1);

    // The fence of the row grows in both modes.
    admin.forget(BOOK, &key).await.unwrap();
    assert_eq!(booked(&bench, "a", 8).await.unwrap(), Outcome::Executed(8));
    let (again, _) = admin.get(BOOK, &key).await.unwrap().expect("it is there");
    assert!(again.row.fence > entry.row.fence + 1, "{} after {}", again.row.fence, entry.row.fence);
    assert!(again.row.ended.iter().any(|owner| owner == entry.row.owner), "the row remembers the owner that has left");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn a_claim_of_lease_mode_waits_for_no_uncommitted_one_to_run_beside_it() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    let mut tx = bench.begin().await;
    book(&mut tx, "a", 7).await.unwrap();
    let key = key("a");
    let request = ClaimRequest::new(BOOK, &key, Owner::random(), LEASE);
    let claim = store.claim(request);
    let commit = async {
        bench.someone_waits().await;
        tx.commit().await.unwrap();
    };
    let (claim, ()) = tokio::join!(claim, commit);
    // The claim waited for the transaction, or gave up. It was not granted while the transaction was open.
    match claim {
        Ok(answer) => assert!(matches!(answer, ClaimAnswer::Completed(_)), "{answer:?}"),
        Err(error) => assert!(error.is_unanswered(), "{error}"),
    }
}
