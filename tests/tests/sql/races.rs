//! Claims of the same key at the same time.

use std::time::Duration;

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{ClaimAnswer, CompleteRequest, Key, Leave, ReleaseRequest, Standing};
use idem_tests::steps::{DAY, acquire, key, record};
use tokio::task::JoinSet;

use super::{Server, Store, open};
use crate::ask;

/// Leaves a key as an orphan, or completed and expired, or absent.
async fn prepare(store: &Store, key: &Key, how: usize) {
    let request = ask(key);
    match how % 3 {
        1 => {
            let grant = acquire(store, request).await;
            let leave = ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown);
            assert_eq!(store.release(leave).await.unwrap(), Standing::Held);
        }
        2 => {
            let grant = acquire(store, request).await;
            let old = record("old");
            let brief = CompleteRequest::new(&request, grant.fence, &old, Duration::from_micros(1));
            assert_eq!(store.complete(brief).await.unwrap(), Standing::Held);
        }
        _ => {}
    }
}

/// Each claim of a race is granted, or told that the key is running or completed. PostgreSQL can answer with no row, if the row of
/// another transaction is not in the statement's snapshot; the store has to handle that. Claims of one store meet in a batch, and
/// claims of different stores meet in the server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a server: run by tests/run"]
async fn r02_no_answer_of_a_race_is_neither() {
    let server = Server::start().await;
    for (of, racers, rounds) in [(3, 24, 150), (64, 64, 60)] {
        let mut stores = Vec::new();
        for _ in 0..of {
            stores.push(open(&server).await);
        }
        for round in 0..rounds {
            race(&stores, racers, round).await;
        }
    }
}

async fn race(stores: &[Store], most: usize, round: usize) {
    let key = key(format!("{most} in round {round}"));
    prepare(&stores[0], &key, round).await;
    let mut racers = JoinSet::new();
    for racer in 0..most {
        let (store, key) = (stores[racer % stores.len()].clone(), key.clone());
        racers.spawn(async move {
            let request = ask(&key);
            let answer = store.claim(request).await.unwrap();
            if let ClaimAnswer::Acquired(grant) = answer {
                let new = record("new");
                let complete = CompleteRequest::new(&request, grant.fence, &new, DAY);
                assert_eq!(store.complete(complete).await.unwrap(), Standing::Held);
            }
            answer
        });
    }
    let answers = racers.join_all().await;
    let won = answers.iter().filter(|answer| matches!(answer, ClaimAnswer::Acquired(_))).count();
    assert_eq!(won, 1, "{key}: {answers:?}");
    for answer in answers {
        let sound = match &answer {
            ClaimAnswer::Completed(record) => record.as_bytes() == b"new",
            other => matches!(other, ClaimAnswer::Acquired(_) | ClaimAnswer::InProgress { .. }),
        };
        assert!(sound, "{key}: {answer:?}");
    }
}
