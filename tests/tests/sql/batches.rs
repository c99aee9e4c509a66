//! Requests that wait while a connection is busy are sent together, as a batch.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Leave, Owner, Previous, Record, ReleaseRequest, Standing,
};
use idem_runtime::{Error, IdempotencyStore};
use idem_tests::steps::{DAY, LEASE, acquire, execute, key, record};
use tokio::task::JoinSet;

use super::{Counted, MOST_TRIPS, OPEN_TRANSACTIONS, REFUSE, Server, number, open, open_with_pool, sql};
use crate::{SCOPE, ask, charge, charge_all};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn who_waits_shares_a_commit() {
    let counted = Counted::start().await;
    let store = &counted.store;
    charge(store, "first").await.unwrap();
    counted.taken();
    assert!(charge_all(store, 64).await.iter().all(|outcome| !outcome.is_replayed()));
    let trips = counted.taken();
    assert!(trips < MOST_TRIPS[0], "64 executions took {trips} round trips, and 128 one by one");

    // 500 messages, in which each order comes twice. A duplicate of a running call is delivered again after a pause, as each
    // delivery is a round trip and a slow disk would cause many.
    let mut calls = JoinSet::new();
    for nth in 0..500 {
        let store = store.clone();
        calls.spawn(async move {
            loop {
                match charge(&store, &format!("order-{}", nth % 250)).await {
                    Err(Error::InProgress { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
                    other => return other.unwrap(),
                }
            }
        });
    }
    let executed = calls.join_all().await.iter().filter(|outcome| !outcome.is_replayed()).count();
    assert_eq!(executed, 250 - 64);
    let trips = counted.taken();
    assert!(trips < MOST_TRIPS[1], "500 messages took {trips} round trips, and a thousand one by one");
}

/// If the database refuses one request of a batch, only this one fails. No lock is left behind.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn one_bad_request_fails_alone() {
    let server = Server::start().await;
    let stores = [open(&server).await, open_with_pool(&server, 4).await];
    sql(&server, REFUSE).await;
    for store in stores {
        sql(&server, "DELETE FROM idem_keys").await;
        let mut calls = JoinSet::new();
        for nth in 0..64 {
            let store = store.clone();
            calls.spawn(async move {
                let key = key(format!("{nth}"));
                let request = ask(&key);
                let answer = store.claim(request).await;
                assert_eq!(answer.is_err(), nth == 40, "{nth}: {answer:?}");
                let grant = match answer {
                    Ok(ClaimAnswer::Acquired(grant)) => grant,
                    Ok(other) => panic!("{nth}: acquired, not {other:?}"),
                    Err(error) => return assert!(!error.is_unanswered(), "it would be refused again: {error}"),
                };
                let record = record("r");
                let done = store.complete(CompleteRequest::new(&request, grant.fence, &record, DAY)).await;
                assert_eq!(done.is_err(), nth == 41, "{nth}: {done:?}");
                assert!(done.is_err() || done.is_ok_and(|standing| standing == Standing::Held), "{nth}");
            });
        }
        calls.join_all().await;
        let done = number(&server, "SELECT COUNT(*) FROM idem_keys WHERE state = 5").await;
        assert_eq!(done, 62);
        // The server rolls back what a closed connection has left open, but not at once.
        let deadline = Instant::now() + Duration::from_secs(5);
        while number(&server, OPEN_TRANSACTIONS).await > 0 {
            assert!(Instant::now() < deadline, "a transaction is left open");
        }
    }
}

/// Each completion of a batch gets its own answer, also if it is repeated, or sent by a caller that doesn't hold the key.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r09_each_of_a_batch_is_told_its_own_standing() {
    let server = Server::start().await;
    let store = open(&server).await;
    let mut claims = Vec::new();
    for nth in 0..40 {
        let (key, owner) = (key(format!("{nth:02}")), Owner::random());
        let request = ClaimRequest::new(SCOPE, &key, owner, LEASE);
        let fence = acquire(&store, request).await.fence;
        claims.push((key, owner, fence));
    }
    for round in 0..2 {
        let mut calls = JoinSet::new();
        for (nth, (key, owner, fence)) in claims.iter().cloned().enumerate() {
            let store = store.clone();
            calls.spawn(async move {
                let (owner, fence) = match nth % 4 {
                    1 => (Owner::random(), fence),
                    2 => (owner, fence + 1),
                    // By another owner, for a key that is completed by now.
                    3 if round == 1 => (Owner::random(), fence),
                    _ => (owner, fence),
                };
                let request = ClaimRequest::new(SCOPE, &key, owner, LEASE);
                let record = Record::from_bytes(key.as_bytes());
                let standing = store.complete(CompleteRequest::new(&request, fence, &record, DAY)).await.unwrap();
                assert_eq!(standing == Standing::Held, matches!((nth % 4, round), (0, _) | (3, 0)), "{key}");
            });
        }
        calls.join_all().await;
    }
    for (nth, (key, ..)) in claims.iter().enumerate() {
        match store.claim(ask(key)).await.unwrap() {
            ClaimAnswer::Completed(record) => assert_eq!(record.as_bytes(), key.as_bytes()),
            other => assert!(matches!(nth % 4, 1 | 2), "{key}: {other:?}"),
        }
    }
}

/// A batch of claims of every kind: new keys, repeated claims, keys that others hold, orphans and completed keys.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r09_each_claim_of_a_batch_is_answered_for_itself() {
    let server = Server::start().await;
    let store = open(&server).await;
    let mut claims = Vec::new();
    for nth in 0..60 {
        let (key, owner) = (key(format!("{nth:02}")), Owner::random());
        let before = match nth % 5 {
            0 => 0,
            1 => acquire(&store, ClaimRequest::new(SCOPE, &key, owner, Duration::from_secs(1))).await.fence,
            2 => acquire(&store, ask(&key)).await.fence,
            3 => {
                let request = ask(&key);
                let grant = acquire(&store, request).await;
                store.release(ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown)).await.unwrap();
                grant.fence
            }
            _ => {
                execute(&store, SCOPE, &key, &Record::from_bytes(key.as_bytes())).await;
                0
            }
        };
        claims.push((key, owner, before));
    }
    let mut calls = JoinSet::new();
    for (nth, (key, owner, before)) in claims.iter().cloned().enumerate() {
        let store = store.clone();
        calls.spawn(async move {
            let answer = store.claim(ClaimRequest::new(SCOPE, &key, owner, LEASE)).await.unwrap();
            match (nth % 5, &answer) {
                (0, ClaimAnswer::Acquired(grant)) => assert_eq!((grant.attempt, grant.previous), (1, Previous::First)),
                (1, ClaimAnswer::Acquired(grant)) => assert_eq!(grant.fence, before, "the same again"),
                (2, ClaimAnswer::InProgress { remaining }) => assert!(*remaining > LEASE / 2),
                (3, ClaimAnswer::Acquired(grant)) => {
                    assert_eq!((grant.attempt, grant.previous), (2, Previous::AfterCrash { fence: before }));
                }
                (4, ClaimAnswer::Completed(record)) => assert_eq!(record.as_bytes(), key.as_bytes()),
                _ => panic!("{key}: {answer:?}"),
            }
        });
    }
    calls.join_all().await;
    // The server uses this machine's clock.
    let soon = (SystemTime::now() + LEASE / 2).duration_since(UNIX_EPOCH).unwrap().as_micros();
    let short = format!("SELECT COUNT(*) FROM idem_keys WHERE state = 1 AND until < {soon}");
    assert_eq!(number(&server, &short).await, 0, "a repeated claim renews its lease");
}
