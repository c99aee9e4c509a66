//! What the library offers to tests of handlers: a memory store with a clock that the test sets, `with_store` and `carry`, and the
//! names of scopes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use idem_runtime::admin::{Filter, IdempotencyAdmin};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, Key, Leave, Owner, Previous, ReleaseRequest, Standing, WaitRequest,
};
use idem_runtime::{Error, IdempotencyStore, MemoryStore, Outcome, carry, idempotent, with_store};
use idem_tests::{Count, Gate};
use tokio::task::JoinSet;

const MINUTE: Duration = Duration::from_secs(60);

/// A clock that moves only when a test sets it.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn leap(&self, ahead: Duration) {
        self.0.fetch_add(ahead.as_millis() as u64, Ordering::Relaxed);
    }

    fn back(&self, by: Duration) {
        self.0.fetch_sub(by.as_millis() as u64, Ordering::Relaxed);
    }

    fn store(&self) -> MemoryStore {
        let hands = self.clone();
        MemoryStore::with_clock(move || Duration::from_millis(hands.0.load(Ordering::Relaxed)))
    }
}

#[idempotent(key = "id", scope = "fixtures/timed", store = store, ttl = "1h", claim = claim)]
async fn timed(store: &MemoryStore, id: u32) -> Result<Outcome<(u64, bool)>, Error> {
    Ok((claim.fence(), claim.previous() == Previous::First).into())
}

#[tokio::test]
async fn a_ttl_is_over_when_the_given_clock_says_so() {
    let hands = Hands::default();
    let store = hands.store();
    let Outcome::Executed((first, _)) = timed(&store, 1).await.unwrap() else { panic!("it is new") };
    assert!(first > 0, "0 is the fence of a call without protection");
    hands.leap(59 * MINUTE);
    assert!(timed(&store, 1).await.unwrap().is_replayed());
    hands.leap(MINUTE);
    let Outcome::Executed((second, is_first)) = timed(&store, 1).await.unwrap() else { panic!("it is forgotten") };
    assert!(second > first && is_first);
}

#[tokio::test]
async fn fences_grow_though_the_given_clock_steps_back() {
    let hands = Hands::default();
    hands.leap(120 * MINUTE);
    let store = hands.store();
    let Outcome::Executed((first, _)) = timed(&store, 1).await.unwrap() else { panic!("it is new") };
    hands.back(90 * MINUTE);
    store.forget("fixtures/timed", &Key::of("1").unwrap()).await.unwrap();
    let Outcome::Executed((second, _)) = timed(&store, 1).await.unwrap() else { panic!("it is forgotten") };
    assert!(second > first);
}

#[idempotent(key = "id", scope = "fixtures/held", store = store, wait = "30s")]
async fn held(store: &MemoryStore, ran: Count, gate: Gate, id: u32) -> Result<u32, Error> {
    let turn = ran.up();
    gate.pass().await;
    Ok(turn)
}

/// The real time that passes is far less than the lease, so only the given clock can end it.
#[tokio::test]
async fn a_lease_is_over_when_the_given_clock_says_so_and_who_waits_for_it_is_woken() {
    let hands = Hands::default();
    let (store, ran, gate) = (hands.store(), Count::default(), Gate::default());
    let holder = tokio::spawn({
        let (store, ran, gate) = (store.clone(), ran.clone(), gate.clone());
        async move { held(&store, ran, gate, 1).await }
    });
    gate.started().await;
    let waiter = tokio::spawn({
        let (store, ran) = (store.clone(), ran.clone());
        async move { held(&store, ran, Gate::opened(), 1).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ran.get(), 1, "the lease is not over");
    hands.leap(2 * MINUTE);
    let waited = tokio::time::timeout(Duration::from_secs(15), waiter).await.expect("it is woken by the clock");
    assert_eq!(waited.unwrap().unwrap(), 2);
    gate.open();
    let lost = holder.await.unwrap().unwrap_err();
    assert!(matches!(lost, Error::LeaseLost { .. }), "{lost}");
}

/// The deadline of `IdempotencyStore::wait` also goes by the given clock.
#[tokio::test]
async fn a_wait_of_the_store_is_over_when_the_given_clock_says_so() {
    let hands = Hands::default();
    let store = hands.store();
    let key = Key::of("1").unwrap();
    let claim = ClaimRequest::new("fixtures/wait", &key, Owner([1; 16]), MINUTE);
    let ClaimAnswer::Acquired(grant) = store.claim(claim).await.unwrap() else { panic!("it is new") };
    let mut waiting = Box::pin(store.wait(WaitRequest::new("fixtures/wait", &key, Duration::from_secs(1))));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    early.expect_err("the clock stands still");
    hands.leap(Duration::from_secs(1));
    tokio::time::timeout(Duration::from_secs(15), waiting).await.expect("the second is over").unwrap();
    let release = ReleaseRequest::new(&claim, grant.fence, Leave::Failed);
    assert_eq!(store.release(release).await.unwrap(), Standing::Held);
}

/// A sweep deletes the rows that are expired by the given clock.
#[tokio::test]
async fn a_sweep_goes_by_the_given_clock() {
    let hands = Hands::default();
    let store = hands.store();
    timed(&store, 1).await.unwrap();
    assert_eq!(store.sweep(usize::MAX).await.unwrap(), 0);
    hands.leap(60 * 24 * 60 * MINUTE);
    assert_eq!(store.sweep(usize::MAX).await.unwrap(), 1);
    assert!(store.list(Filter::all()).await.unwrap().is_empty());
}

#[idempotent(key = "id")]
async fn installed(id: u32) -> Result<Outcome<u32>, Error> {
    Ok(id.into())
}

/// This test process installs no store.
#[tokio::test]
async fn a_spawned_task_has_the_store_of_with_store_only_where_it_is_carried() {
    let store = MemoryStore::new();
    with_store(store.clone(), async {
        let error = tokio::spawn(installed(1)).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::NoStore { .. }) && error.to_string().contains("`carry(future)`"), "{error}");
        assert!(!tokio::spawn(carry(installed(1))).await.unwrap().unwrap().is_replayed());
        let mut tasks = JoinSet::new();
        // A task that was spawned with `carry` can carry the store on to the next.
        tasks.spawn(carry(async { tokio::spawn(carry(installed(1))).await.unwrap() }));
        assert!(tasks.join_next().await.unwrap().unwrap().unwrap().is_replayed());
    })
    .await;
    assert!(with_store(store, installed(1)).await.unwrap().is_replayed());
}

#[tokio::test]
async fn a_carried_future_has_the_store_of_whoever_made_it() {
    let (one, other) = (MemoryStore::new(), MemoryStore::new());
    let mut made_in_one = None;
    with_store(one.clone(), async { made_in_one = Some(carry(installed(2))) }).await;
    assert!(!with_store(other.clone(), made_in_one.unwrap()).await.unwrap().is_replayed());
    assert!(with_store(one, installed(2)).await.unwrap().is_replayed());
    assert!(!with_store(other.clone(), installed(2)).await.unwrap().is_replayed());
    // Outside of `with_store` there is no store to carry.
    let made_outside = carry(installed(2));
    assert!(matches!(with_store(other, made_outside).await, Err(Error::NoStore { .. })));
}

/// The names of scopes, for handlers and operators.
mod scopes {
    pub(crate) const CHARGE: &str = "fixtures/charge";

    pub(crate) struct Orders;

    impl Orders {
        pub(crate) const SCOPE: &'static str = "fixtures/orders";
    }

    pub(crate) static REFUND: &str = "fixtures/refund";
}

#[idempotent(key = "id", scope = scopes::CHARGE, store = store)]
async fn charge(store: &MemoryStore, id: u32) -> Result<u32, Error> {
    Ok(id)
}

#[idempotent(key = "id", scope = scopes::REFUND, store = store)]
fn refund(store: &MemoryStore, id: u32) -> Result<u32, Error> {
    Ok(id)
}

impl scopes::Orders {
    #[idempotent(key = "id", scope = scopes::Orders::SCOPE, store = store)]
    async fn handle(&self, store: &MemoryStore, id: u32) -> Result<u32, Error> {
        Ok(id)
    }
}

#[idempotent(key = "id", scope = scopes::CHARGE, store = store)]
async fn charge_again(store: &MemoryStore, id: u32) -> Result<u32, Error> {
    Ok(id)
}

#[tokio::test]
async fn r18_a_scope_can_be_a_constant_that_operators_name_too() {
    let store = MemoryStore::new();
    charge(&store, 1).await.unwrap();
    refund(&store, 1).unwrap();
    scopes::Orders.handle(&store, 1).await.unwrap();
    let key = Key::of("1").unwrap();
    for scope in [scopes::CHARGE, scopes::REFUND, scopes::Orders::SCOPE] {
        assert!(store.get(scope, &key).await.unwrap().is_some(), "{scope}");
    }
    let taken = charge_again(&store, 1).await.unwrap_err();
    assert!(matches!(taken, Error::ScopeTaken { scope: scopes::CHARGE, .. }), "{taken}");
}
