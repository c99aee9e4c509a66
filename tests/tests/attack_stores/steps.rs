//! Requests that a store carries out in one batch, and an operator's requests, change a row as `protocol::step` does.

use std::time::Duration;

use idem_runtime::admin::Resolution;
use idem_runtime::protocol::{self, Operation, Row, State};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Fingerprint, Key, Leave, Orphans, Owner, Record, ReleaseRequest,
    RenewRequest, Standing,
};
use idem_runtime::{AnyStore, IdempotencyStore, MySqlStore};
use idem_tests::rng::Rng;
use idem_tests::server::{Kind, MariaDb, Postgres, Redis};

use tokio::task::JoinSet;

use super::{HOUR, INSTANT, LEASE, key};

/// A request about a key.
#[derive(Debug)]
enum Ask {
    Claim {
        owner: Owner,
        lease: Duration,
        fingerprint: Option<Fingerprint>,
        orphans: Orphans,
        retain: Option<Duration>,
    },
    Complete {
        owner: Owner,
        fence: u64,
        ttl: Duration,
    },
    Renew {
        owner: Owner,
        fence: u64,
        lease: Duration,
        retain: Option<Duration>,
    },
    Release {
        owner: Owner,
        fence: u64,
        how: Leave,
        retain: Duration,
    },
}

fn near(a: u64, b: u64) -> bool {
    a.abs_diff(b) < 20_000_000
}

fn alike(a: &Row, b: &Row) -> bool {
    let purged = match (a.purge_at, b.purge_at) {
        (None, None) => true,
        (Some(a), Some(b)) => a.abs_diff(b) < 20_000_000 + 7 * 24 * 3_600_000_000 / 31,
        _ => false,
    };
    let fresh = |row: &Row| row.fence > 1_000_000_000_000;
    a.state == b.state
        && a.owner == b.owner
        && (a.fence == b.fence || fresh(a) && fresh(b) && near(a.fence, b.fence))
        && (near(a.until, b.until) || matches!(a.state, State::Free | State::Unknown))
        && a.doubt == b.doubt
        && a.previous == b.previous
        && a.attempt == b.attempt
        && a.fingerprint == b.fingerprint
        && a.ended == b.ended
        && purged
}

async fn batches_are_steps(store: AnyStore, seed: u64) {
    let mut rng = Rng::new(seed);
    let admin = store.admin().unwrap();
    let owners: Vec<Owner> = (1..8).map(|nth| Owner([nth; 16])).collect();
    let keys: Vec<Key> = (0..48).map(|nth| key(format!("{nth}"))).collect();
    let scope = "attack::step";
    for round in 0..60 {
        let mut before = Vec::new();
        for key in &keys {
            before.push(admin.get(scope, key).await.unwrap().map(|(entry, record)| (entry.row, record)));
        }
        let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as u64;
        let mut calls = JoinSet::new();
        let mut asked = Vec::new();
        for row in &before {
            let mut pick = |n: u64| rng.below(n);
            let row = row.as_ref().map(|(row, _)| *row);
            let owner = match row {
                Some(row) if pick(3) > 0 => row.owner,
                _ => owners[pick(7) as usize],
            };
            let fence = row.map_or(0, |row| row.fence) + u64::from(pick(8) == 0);
            let lease = if pick(2) == 0 { HOUR } else { INSTANT };
            let retain = match pick(3) {
                0 => None,
                1 => Some(Duration::ZERO),
                _ => Some(HOUR),
            };
            let fingerprint = match pick(3) {
                0 => None,
                nth => Some(Fingerprint([nth as u8; 16])),
            };
            let ask = match pick(10) {
                0..4 => Ask::Claim {
                    owner: if pick(2) == 0 { owners[pick(7) as usize] } else { owner },
                    lease,
                    fingerprint,
                    orphans: if pick(4) == 0 { Orphans::Refuse } else { Orphans::Take },
                    retain,
                },
                4..7 => Ask::Complete { owner, fence, ttl: lease },
                7 => Ask::Renew { owner, fence, lease, retain },
                _ => Ask::Release {
                    owner,
                    fence,
                    how: [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep, Leave::NotRun][pick(4) as usize],
                    retain: HOUR,
                },
            };
            asked.push(ask);
        }
        let record = Record::from_bytes(format!("round {round}").as_bytes());
        for (nth, ask) in asked.into_iter().enumerate() {
            let (store, key, record) = (store.clone(), keys[nth].clone(), record.clone());
            let row = before[nth].as_ref().map(|(row, _)| *row);
            let had = before[nth].as_ref().and_then(|(_, record)| record.clone());
            calls.spawn(async move {
                let stub = Owner([0; 16]);
                let base = ClaimRequest::new(scope, &key, stub, LEASE);
                let (next, told) = match &ask {
                    Ask::Claim { owner, lease, fingerprint, orphans, retain } => {
                        let mut request = ClaimRequest::new(scope, &key, *owner, *lease);
                        (request.fingerprint, request.orphans, request.retain) = (*fingerprint, *orphans, *retain);
                        let next = protocol::step(row.as_ref(), Operation::Claim(&request), started);
                        let wanted = next.reply.into_claim(|| had.clone());
                        let told = store.claim(request).await.unwrap();
                        let same = match (&wanted, &told) {
                            (ClaimAnswer::Acquired(a), ClaimAnswer::Acquired(b)) => {
                                a.attempt == b.attempt && a.previous == b.previous && near(a.fence, b.fence)
                            }
                            (ClaimAnswer::InProgress { .. }, ClaimAnswer::InProgress { .. }) => true,
                            (a, b) => a == b,
                        };
                        (next, (same, format!("{wanted:?} {told:?}")))
                    }
                    Ask::Complete { owner, fence, ttl } => {
                        let mut claim = base;
                        claim.owner = *owner;
                        let request = CompleteRequest::new(&claim, *fence, &record, *ttl);
                        let next = protocol::step(row.as_ref(), Operation::Complete(&request), started);
                        let (wanted, told) = (next.reply.into_standing(), store.complete(request).await.unwrap());
                        (next, (wanted == told, format!("{wanted:?} {told:?}")))
                    }
                    Ask::Renew { owner, fence, lease, retain } => {
                        let mut claim = base;
                        (claim.owner, claim.lease, claim.retain) = (*owner, *lease, *retain);
                        let request = RenewRequest::new(&claim, *fence);
                        let next = protocol::step(row.as_ref(), Operation::Renew(&request), started);
                        let (wanted, told) = (next.reply.into_standing(), store.renew(request).await.unwrap());
                        (next, (wanted == told, format!("{wanted:?} {told:?}")))
                    }
                    Ask::Release { owner, fence, how, retain } => {
                        let mut claim = base;
                        claim.owner = *owner;
                        let mut request = ReleaseRequest::new(&claim, *fence, *how);
                        request.retain = *retain;
                        let next = protocol::step(row.as_ref(), Operation::Release(&request), started);
                        let (wanted, told) = (next.reply.into_standing(), store.release(request).await.unwrap());
                        (next, (wanted == told, format!("{wanted:?} {told:?}")))
                    }
                };
                (nth, ask, next, told, had)
            });
        }
        for (nth, ask, next, (same, told), had) in calls.join_all().await {
            let (was, is) =
                (&before[nth], admin.get(scope, &keys[nth]).await.unwrap().map(|(entry, found)| (entry.row, found)));
            assert!(same, "round {round} key {nth}: {ask:?} on {was:?} told {told}");
            let wanted = next.row.or(was.as_ref().map(|(row, _)| *row));
            match (&wanted, &is) {
                (None, None) => {}
                (Some(wanted), Some((is, found))) => {
                    assert!(
                        alike(wanted, is),
                        "round {round} key {nth}: {ask:?} on {was:#?} wanted {wanted:#?} is {is:#?}"
                    );
                    let kept = match (wanted.state, was) {
                        (State::Done, Some((row, _))) if row.state == State::Done => had,
                        (State::Done, _) => Some(record.clone()),
                        _ => None,
                    };
                    assert!(
                        *found == kept,
                        "round {round} key {nth}: {ask:?} on {was:?} record {found:?} wanted {kept:?}"
                    );
                }
                _ => panic!("round {round} key {nth}: {ask:?} on {was:?} wanted {wanted:?} is {is:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts PostgreSQL: run by tests/run"]
async fn batches_are_steps_on_postgres() {
    let server = Postgres::start_with(&["-c", "fsync=off"]).await;
    for seed in 1..4 {
        batches_are_steps(idem_runtime::connect(&server.url()).await.unwrap(), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts MariaDB: run by tests/run"]
async fn batches_are_steps_on_mysql() {
    let server = MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=0"]).await;
    for seed in 1..4 {
        batches_are_steps(AnyStore::new(MySqlStore::open(&server.url()).await.unwrap()), seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts redis-server: run by tests/run"]
async fn batches_are_steps_on_redis() {
    let server = Redis::start_with(&["--appendfsync", "no"]).await;
    for seed in 1..4 {
        batches_are_steps(idem_runtime::connect(&server.url()).await.unwrap(), seed).await;
    }
}

/// In every state of a row, each request of an operator has the result that the state machine gives.
async fn words_are_steps(store: AnyStore) {
    let admin = store.admin().unwrap();
    let scope = "attack::words";
    for state in 0..9 {
        for word in 0..3 {
            let key = key(format!("{state} {word}"));
            let owner = Owner::random();
            let mut request = ClaimRequest::new(scope, &key, owner, if state == 1 { INSTANT } else { HOUR });
            request.fingerprint = Some(Fingerprint([7; 16]));
            let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!() };
            let ttl = if state % 2 == 0 { INSTANT } else { HOUR };
            let record = Record::from_bytes(if state < 7 { &b"the handler's"[..] } else { b"another operator's" });
            let leave = |how| ReleaseRequest::new(&request, grant.fence, how);
            match state {
                2 => drop(store.release(leave(Leave::OutcomeUnknown)).await.unwrap()),
                3 => drop(store.release(leave(Leave::Keep)).await.unwrap()),
                4 => drop(store.release(leave(Leave::Failed)).await.unwrap()),
                5 | 6 => drop(store.complete(CompleteRequest::new(&request, grant.fence, &record, ttl)).await.unwrap()),
                7 | 8 => {
                    store.release(leave(Leave::OutcomeUnknown)).await.unwrap();
                    let resolution = Resolution::Executed { record: record.clone(), ttl };
                    assert_eq!(admin.resolve(scope, &key, resolution).await.unwrap(), Standing::Held);
                }
                _ => {}
            }
            let (entry, _) = admin.get(scope, &key).await.unwrap().unwrap();
            let said = Record::from_bytes(b"the operator's");
            let operation =
                [Operation::ResolveExecuted { ttl: HOUR }, Operation::ResolveNotExecuted, Operation::Forget][word];
            let next = protocol::step(Some(&entry.row), operation, entry.now);
            let told = match word {
                0 => admin.resolve(scope, &key, Resolution::Executed { record: said.clone(), ttl: HOUR }).await,
                1 => admin.resolve(scope, &key, Resolution::NotExecuted).await,
                _ => admin.forget(scope, &key).await,
            };
            assert_eq!(told.unwrap(), next.reply.into_standing(), "state {state} word {word}");
            let (is, found) = admin.get(scope, &key).await.unwrap().unwrap();
            let wanted = next.row.unwrap_or(entry.row);
            assert!(alike(&wanted, &is.row), "state {state} word {word}: {wanted:#?} {:#?}", is.row);
            let kept = match (wanted.state, word) {
                (State::Done, 0) if next.row.is_some() => Some(said),
                (State::Done, _) => Some(record),
                _ => None,
            };
            assert!(found == kept, "state {state} word {word}: {found:?} {kept:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn words_are_steps_everywhere() {
    for kind in [Kind::Postgres, Kind::MariaDb, Kind::Redis] {
        let server = kind.start().await;
        words_are_steps(idem_runtime::connect(&server.url()).await.unwrap()).await;
    }
}
