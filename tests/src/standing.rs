//! What a store answers to a holder that lost its key: `Lost` if there is a row of another holder, `Gone` if there is no row.

use idem_runtime::IdempotencyStore;
use idem_runtime::admin::Resolution;
use idem_runtime::store::{ClaimRequest, CompleteRequest, Key, Leave, ReleaseRequest, RenewRequest, Standing};

use tokio::task::JoinSet;

use crate::steps::{DAY, acquire, key, record, request};

/// For stores that can tell the two apart: each request of a holder gets `Gone` if the store has no row of the key, and `Lost` if
/// it has one.
pub async fn tells_gone_from_lost(store: &impl IdempotencyStore) {
    let (known, unknown) = (key("known"), key("unknown"));
    let lost = request("standing", &known);
    let fence = acquire(store, lost).await.fence;
    store.admin().unwrap().forget("standing", &known).await.unwrap();
    acquire(store, request("standing", &known)).await;
    assert_refused(store, lost, fence, Standing::Lost).await;
    assert_refused(store, request("standing", &unknown), fence, Standing::Gone).await;
    assert_all_are_gone(store).await;
    assert_operator_is_told(store, &known, Standing::Lost).await;
    assert_operator_is_told(store, &unknown, Standing::Gone).await;
    assert_eq!(store.admin().unwrap().forget("standing", &unknown).await.unwrap(), Standing::Gone);
}

async fn assert_refused(store: &impl IdempotencyStore, claim: ClaimRequest<'_>, fence: u64, wanted: Standing) {
    assert_eq!(store.renew(RenewRequest::new(&claim, fence)).await.unwrap(), wanted);
    let result = record("r");
    assert_eq!(store.complete(CompleteRequest::new(&claim, fence, &result, DAY)).await.unwrap(), wanted);
    for how in [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep] {
        assert_eq!(store.release(ReleaseRequest::new(&claim, fence, how)).await.unwrap(), wanted, "{how:?}");
    }
}

/// Completes many keys at once; a store may carry these out with one statement.
async fn assert_all_are_gone(store: &impl IdempotencyStore) {
    let mut late = JoinSet::new();
    for nth in 0..20 {
        let store = store.clone();
        late.spawn(async move {
            let (key, result) = (key(format!("unknown-{nth}")), record("r"));
            store.complete(CompleteRequest::new(&request("standing", &key), 1, &result, DAY)).await.unwrap()
        });
    }
    assert!(late.join_all().await.into_iter().all(|standing| standing == Standing::Gone));
}

async fn assert_operator_is_told(store: &impl IdempotencyStore, key: &Key, wanted: Standing) {
    let admin = store.admin().unwrap();
    for resolution in [Resolution::NotExecuted, Resolution::Executed { record: record("r"), ttl: DAY }] {
        assert_eq!(admin.resolve("standing", key, resolution).await.unwrap(), wanted);
    }
}
