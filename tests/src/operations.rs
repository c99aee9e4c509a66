//! Random operations on one key, carried out by a store and by `protocol::step`, to compare the two.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idem_runtime::IdempotencyStore;
use idem_runtime::admin::Resolution;
use idem_runtime::protocol::{self, Micros, Operation, Row, State};
use idem_runtime::store::{
    ClaimRequest, CompleteRequest, Fingerprint, Leave, Orphans, Owner, ReleaseRequest, RenewRequest,
};

use crate::rng::Rng;
use crate::steps::{DAY, LEASE, key, record};

/// Carries out 5,000 operations on the key `k` of the scope `s`, and asserts after each that the store's row is the one that
/// `protocol::step` makes. The store's server has to have the clock of this machine. `seen` is called with each row.
pub async fn follow_the_protocol(store: &impl IdempotencyStore, mut seen: impl AsyncFnMut(Row)) {
    let admin = store.admin().unwrap();
    let key = key("k");
    let mut rng = Rng::new(7);
    let mut model: Option<Row> = None;
    let mut fences = vec![0];
    let (mut completions, mut replaced) = (0, 0);
    let owners: Vec<Owner> = (0..7).map(|_| Owner::random()).collect();
    let prints = [None, Some(Fingerprint([1; 16])), Some(Fingerprint([2; 16]))];
    for nth in 0..5_000 {
        let owner = owners[rng.below(7) as usize];
        let fence = fences[fences.len() - 1 - rng.below(2.min(fences.len() as u64)) as usize];
        let lease = if rng.below(2) == 0 { Duration::ZERO } else { LEASE };
        let mut claim = ClaimRequest::new("s", &key, owner, lease);
        claim.fingerprint = prints[rng.below(3) as usize];
        claim.orphans = if rng.below(4) == 0 { Orphans::Refuse } else { Orphans::Take };
        claim.retain = (rng.below(2) == 0).then_some(DAY);
        let result = record(&nth.to_string());
        let how = [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep, Leave::NotRun][rng.below(4) as usize];
        let ttl = if rng.below(2) == 0 { Duration::ZERO } else { DAY };
        let renew = RenewRequest::new(&claim, fence);
        let complete = CompleteRequest::new(&claim, fence, &result, ttl);
        let release = ReleaseRequest::new(&claim, fence, how);
        let operation = match rng.below(12) {
            0..4 => Operation::Claim(&claim),
            4 => Operation::Renew(&renew),
            5 => Operation::Complete(&complete),
            6 | 7 => Operation::Release(&release),
            8 => Operation::ResolveNotExecuted,
            9 | 10 => Operation::ResolveExecuted { ttl },
            _ => Operation::Forget,
        };
        let before = micros();
        match operation {
            Operation::Claim(_) => drop(store.claim(claim).await.unwrap()),
            Operation::Renew(_) => drop(store.renew(renew).await.unwrap()),
            Operation::Complete(_) => drop(store.complete(complete).await.unwrap()),
            Operation::Release(_) => drop(store.release(release).await.unwrap()),
            Operation::Forget => drop(admin.forget("s", &key).await.unwrap()),
            Operation::ResolveExecuted { ttl } => {
                let resolution = Resolution::Executed { record: result.clone(), ttl };
                admin.resolve("s", &key, resolution).await.unwrap();
            }
            Operation::ResolveNotExecuted => drop(admin.resolve("s", &key, Resolution::NotExecuted).await.unwrap()),
        }
        let after = micros();
        let stored = admin.get("s", &key).await.unwrap();
        let (row, kept) = stored.map_or((None, None), |(entry, kept)| (Some(entry.row), kept));
        assert_eq!(kept.is_some(), row.is_some_and(|row| row.state == State::Done), "only a completed row has one");
        // The store read its clock between the two readings of this test.
        let says = |now| protocol::step(model.as_ref(), operation, now).row.or(model);
        match (says(before), row, says(after)) {
            (None, None, None) => {}
            (Some(low), Some(row), Some(high)) => {
                assert!((low.until..=high.until).contains(&row.until), "{operation:?} on {model:?}: {row:?}");
                assert!((low.fence..=high.fence).contains(&row.fence), "{operation:?} on {model:?}: {row:?}");
                // A store may keep a row longer than the protocol says, by a thirty-second.
                let latest = high.purge_at.map(|at| at + at.saturating_sub(before) / 32);
                assert!((low.purge_at..=latest).contains(&row.purge_at), "{operation:?} on {model:?}: {row:?}");
                let low = Row { until: row.until, fence: row.fence, purge_at: row.purge_at, ..low };
                assert_eq!(low, row, "{operation:?} on {model:?}");
                seen(row).await;
                fences.push(row.fence);
                let wrote = model != Some(row);
                if wrote && matches!(operation, Operation::Complete(_) | Operation::ResolveExecuted { .. }) {
                    assert_eq!(kept.as_ref(), Some(&result));
                    completions += 1;
                    replaced += u32::from(model.is_some_and(|row| row.state == State::Done));
                }
            }
            other => panic!("{operation:?} on {model:?}: {other:?}"),
        }
        model = row;
    }
    assert!(
        completions > 20 && replaced > 5,
        "the run has too few cases: {completions} completions, {replaced} replaced"
    );
}

fn micros() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}
