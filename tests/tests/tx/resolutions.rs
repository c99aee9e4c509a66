//! An operator resolves keys of a handler in tx mode, on one database: `super` says which.

use std::time::Duration;

use idem_runtime::admin::Resolution;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, Key, Leave, Owner, ReleaseRequest, Standing};
use idem_runtime::{Error, IdempotencyStore as _, Outcome};

use super::{BOOK, Bench, book};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An operator can replace an operator's record. It can't replace one of a handler in tx mode, even if the handler took the key over
/// from a call that died.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts servers: run by tests/run"]
async fn an_operators_record_is_replaced_and_a_handlers_is_not() {
    let bench = Bench::new().await;
    let store = bench.store().await;
    let admin = store.admin().unwrap();
    for id in ["resolved", "taken"] {
        let key = Key::of(id).unwrap();
        let request = ClaimRequest::new(BOOK, &key, Owner::random(), Duration::from_secs(60));
        let ClaimAnswer::Acquired(grant) = store.claim(request).await.unwrap() else { panic!("{id} is taken") };
        let left = ReleaseRequest::new(&request, grant.fence, Leave::OutcomeUnknown);
        assert_eq!(store.release(left).await.unwrap(), Standing::Held);
    }
    let resolve = async |id: &str, resolution| admin.resolve(BOOK, &Key::of(id).unwrap(), resolution).await.unwrap();

    assert_eq!(resolve("resolved", Resolution::executed("7", DAY).unwrap()).await, Standing::Held);
    let mut tx = bench.begin().await;
    let error = book(&mut tx, "resolved", 1).await.unwrap_err().refusal();
    assert!(matches!(error, Error::Decode { .. }), "{error:?}");
    tx.rollback().await.unwrap();
    assert_eq!(resolve("resolved", Resolution::executed(&7_u64, DAY).unwrap()).await, Standing::Held);
    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "resolved", 1).await.unwrap(), Outcome::Replayed(7));
    assert_eq!(book(&mut tx, "taken", 2).await.unwrap(), Outcome::Executed(2));
    tx.commit().await.unwrap();

    for resolution in [Resolution::executed(&7_u64, DAY).unwrap(), Resolution::NotExecuted] {
        assert_eq!(resolve("taken", resolution).await, Standing::Lost);
    }
    let mut tx = bench.begin().await;
    assert_eq!(book(&mut tx, "taken", 3).await.unwrap(), Outcome::Replayed(2));
    tx.commit().await.unwrap();
    assert_eq!((bench.effects("resolved").await, bench.effects("taken").await), (0, 1));
}
