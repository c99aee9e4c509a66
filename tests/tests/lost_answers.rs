//! R9, for each operation of each distributed store: an answer is lost, or a request reaches the store late, when its caller has
//! gone on.

use std::time::Duration;

use idem_runtime::protocol::{Row, State};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Grant, Key, Leave, Owner, Record, ReleaseRequest, RenewRequest,
    Standing, StoreError,
};
use idem_runtime::{AnyStore, Error, IdempotencyStore, Outcome, Previous, idempotent};
use idem_tests::proxy::{Armed, Late, Proxy, holding};
use idem_tests::server::{Kind, Server};
use idem_tests::{Count, Failure, Gate};

const SCOPE: &str = "lost-answers";
const LEASE: Duration = Duration::from_millis(900);
/// How often a request is repeated at most.
const REPEATS: u32 = 20;

/// A server, and two stores on it.
struct Site {
    proxy: Proxy,
    /// Connected through the proxy.
    store: AnyStore,
    /// Connected directly.
    direct: AnyStore,
    _server: Server,
}

impl Site {
    async fn new(kind: Kind) -> Self {
        let server = kind.start().await;
        let proxy = Proxy::start(server.port()).await;
        let direct = idem_runtime::connect(&server.url()).await.unwrap();
        let store = idem_runtime::connect(&proxy.url(&server.url())).await.unwrap();
        Self { proxy, store, direct, _server: server }
    }

    fn cut_after(&self, id: &str) -> Armed<()> {
        self.proxy.cut_after(holding(id.as_bytes()))
    }

    fn delay(&self, id: &str) -> Armed<Late> {
        self.proxy.delay(holding(id.as_bytes()))
    }

    async fn row(&self, id: &str) -> Option<Row> {
        let found = self.direct.admin().unwrap().get(SCOPE, &key(id)).await.unwrap();
        found.map(|(entry, _)| entry.row)
    }

    /// Waits until this is true of what the library does in the background.
    async fn until(&self, id: &str, what: impl Fn(&Row) -> bool) {
        let poll = async {
            while !self.row(id).await.is_some_and(|row| what(&row)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), poll).await.expect("it happens");
    }

    /// Claims on the direct store, as soon as the key is free.
    async fn claim(&self, id: &str, owner: Owner) -> (Key, Grant) {
        let key = key(id);
        loop {
            match self.direct.claim(ClaimRequest::new(SCOPE, &key, owner, LEASE)).await.unwrap() {
                ClaimAnswer::Acquired(grant) => return (key, grant),
                ClaimAnswer::InProgress { remaining } => tokio::time::sleep(remaining).await,
                other => panic!("{id}: {other:?}"),
            }
        }
    }

    /// Asserts that this owner still holds the key, and can complete it.
    async fn is_undisturbed(&self, id: &str, owner: Owner, fence: u64) {
        let key = key(id);
        let claim = ClaimRequest::new(SCOPE, &key, owner, LEASE);
        let renewed = self.direct.renew(RenewRequest::new(&claim, fence)).await.unwrap();
        assert_eq!(renewed, Standing::Held, "{id}");
        let rival = self.direct.claim(ClaimRequest::new(SCOPE, &key, Owner([99; 16]), LEASE)).await.unwrap();
        assert!(matches!(rival, ClaimAnswer::InProgress { .. }), "{id}: {rival:?}");
        let record = Record::from_bytes(b"the successor's");
        let complete = CompleteRequest::new(&claim, fence, &record, Duration::from_secs(60));
        assert_eq!(self.direct.complete(complete).await.unwrap(), Standing::Held, "{id}");
        let replay = self.direct.claim(ClaimRequest::new(SCOPE, &key, Owner([98; 16]), LEASE)).await.unwrap();
        assert_eq!(replay, ClaimAnswer::Completed(record), "{id}");
    }
}

fn key(id: &str) -> Key {
    Key::of(id).unwrap()
}

/// Repeats a request after each lost answer, as the engine does.
async fn until_answered<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..REPEATS {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(error.is_unanswered(), "a lost answer is no refusal: {error}"),
        }
    }
    panic!("no answer to {REPEATS} requests");
}

#[idempotent(key = "id", store = store, scope = "lost-answers", lease = "900ms", claim = claim)]
async fn handle(store: &AnyStore, ran: &Count, gate: &Gate, id: &str) -> Result<Outcome<u32>, Failure> {
    ran.up();
    gate.pass().await;
    if id.starts_with("fails") && claim.previous() == Previous::First {
        return Err(Failure::Declined);
    }
    Ok(claim.attempt().into())
}

/// Calls a handler whose gate is open.
async fn call(store: &AnyStore, ran: &Count, id: &str) -> Result<Outcome<u32>, Failure> {
    handle(store, ran, &Gate::opened(), id).await
}

/// Asserts that the handler ran once for this key, and that its result is replayed.
async fn ran_once(site: &Site, ran: &Count, id: &str) {
    assert_eq!(call(&site.direct, ran, id).await.unwrap(), Outcome::Replayed(1), "{id}");
    assert_eq!(ran.get(), 1, "{id}");
}

async fn r09_claim_whose_answer_is_lost_runs_once(site: Site) {
    let ran = Count::default();
    let cut = site.cut_after("claim-1");
    let (result, ()) = tokio::join!(call(&site.store, &ran, "claim-1"), cut.struck());
    assert_eq!(result.unwrap(), Outcome::Executed(1));
    ran_once(&site, &ran, "claim-1").await;
}

async fn r09_late_claim_of_a_completed_call_changes_nothing(site: Site) {
    let ran = Count::default();
    let late = site.delay("claim-2");
    let (result, late) = tokio::join!(call(&site.store, &ran, "claim-2"), late.struck());
    assert_eq!(result.unwrap(), Outcome::Executed(1));
    let before = site.row("claim-2").await;
    late.deliver().await;
    assert_eq!(site.row("claim-2").await, before);
    ran_once(&site, &ran, "claim-2").await;
}

async fn r09_late_claim_claims_nothing_for_a_caller_that_has_gone(site: Site) {
    let ran = Count::default();
    let late = site.delay("claim-3");
    let late = tokio::select! {
        biased;
        late = late.struck() => late,
        result = call(&site.store, &ran, "claim-3") => panic!("{result:?}"),
    };
    // The call was dropped, and its release is sent in the background.
    site.until("claim-3", |row| row.state == State::Free).await;
    late.deliver().await;
    assert_eq!(ran.get(), 0);
    assert_eq!(call(&site.direct, &ran, "claim-3").await.unwrap(), Outcome::Executed(1));
    ran_once(&site, &ran, "claim-3").await;
}

async fn r09_renewal_whose_answer_is_lost_is_repeated(site: Site) {
    let (ran, gate) = (Count::default(), Gate::default());
    let body = handle(&site.store, &ran, &gate, "renew-1");
    let meanwhile = async {
        gate.started().await;
        site.cut_after("renew-1").struck().await;
        // Longer than the lease, so that the lease has to be renewed again.
        tokio::time::sleep(LEASE + LEASE / 2).await;
        let rival = call(&site.direct, &ran, "renew-1").await;
        assert!(matches!(rival, Err(Failure::Refused(Error::InProgress { .. }))), "{rival:?}");
        gate.open();
    };
    assert_eq!(tokio::join!(body, meanwhile).0.unwrap(), Outcome::Executed(1));
    ran_once(&site, &ran, "renew-1").await;
}

async fn r09_late_renewal_changes_nothing(site: Site) {
    let (ran, gate) = (Count::default(), Gate::default());
    let body = handle(&site.store, &ran, &gate, "renew-2");
    let meanwhile = async {
        gate.started().await;
        let late = site.delay("renew-2").struck().await;
        gate.open();
        late
    };
    let (result, late) = tokio::join!(body, meanwhile);
    assert_eq!(result.unwrap(), Outcome::Executed(1));
    let before = site.row("renew-2").await;
    late.deliver().await;
    assert_eq!(site.row("renew-2").await, before);
    ran_once(&site, &ran, "renew-2").await;
}

async fn r09_completion_whose_answer_is_lost_is_recorded(site: Site) {
    let (ran, gate) = (Count::default(), Gate::default());
    let body = handle(&site.store, &ran, &gate, "complete-1");
    let meanwhile = async {
        gate.started().await;
        let cut = site.cut_after("complete-1");
        gate.open();
        cut.struck().await;
    };
    assert_eq!(tokio::join!(body, meanwhile).0.unwrap(), Outcome::Executed(1));
    ran_once(&site, &ran, "complete-1").await;
}

async fn r09_late_completion_changes_nothing(site: Site) {
    let (ran, gate) = (Count::default(), Gate::default());
    let body = handle(&site.store, &ran, &gate, "complete-2");
    let meanwhile = async {
        gate.started().await;
        let late = site.delay("complete-2");
        gate.open();
        late.struck().await
    };
    let (result, late) = tokio::join!(body, meanwhile);
    assert_eq!(result.unwrap(), Outcome::Executed(1));
    let before = site.row("complete-2").await;
    late.deliver().await;
    assert_eq!(site.row("complete-2").await, before);
    ran_once(&site, &ran, "complete-2").await;
}

async fn r09_late_completion_of_a_lost_lease_is_refused(site: Site) {
    let (key, grant) = site.claim("complete-3", Owner([1; 16])).await;
    let claim = ClaimRequest::new(SCOPE, &key, Owner([1; 16]), LEASE);
    let record = Record::from_bytes(b"too late");
    let late = site.delay("complete-3");
    let late = tokio::select! {
        biased;
        late = late.struck() => late,
        answer = site.store.complete(CompleteRequest::new(&claim, grant.fence, &record, LEASE)) => {
            panic!("{answer:?}")
        }
    };
    let (_, next) = site.claim("complete-3", Owner([2; 16])).await;
    assert_eq!(next.previous, Previous::AfterCrash { fence: grant.fence });
    late.deliver().await;
    site.is_undisturbed("complete-3", Owner([2; 16]), next.fence).await;
}

async fn r09_err_whose_release_is_unanswered_is_the_callers(site: Site) {
    let (ran, gate) = (Count::default(), Gate::default());
    let body = handle(&site.store, &ran, &gate, "fails-1");
    let meanwhile = async {
        gate.started().await;
        let cut = site.cut_after("fails-1");
        gate.open();
        cut.struck().await;
    };
    assert!(matches!(tokio::join!(body, meanwhile).0, Err(Failure::Declined)));
    site.until("fails-1", |row| row.state == State::Free).await;
    assert_eq!(call(&site.direct, &ran, "fails-1").await.unwrap(), Outcome::Executed(2));
}

/// The ways in which a holder leaves its key.
const LEAVES: [Leave; 4] = [Leave::Failed, Leave::OutcomeUnknown, Leave::Keep, Leave::NotRun];

async fn r09_release_whose_answer_is_lost_is_held(site: Site) {
    for how in LEAVES {
        let id = format!("release-{how:?}");
        let (key, grant) = site.claim(&id, Owner([1; 16])).await;
        let claim = ClaimRequest::new(SCOPE, &key, Owner([1; 16]), LEASE);
        let cut = site.cut_after(&id);
        let release = until_answered(async || site.store.release(ReleaseRequest::new(&claim, grant.fence, how)).await);
        assert_eq!(tokio::join!(release, cut.struck()).0, Standing::Held, "{how:?}");
        let (_, next) = site.claim(&id, Owner([2; 16])).await;
        site.is_undisturbed(&id, Owner([2; 16]), next.fence).await;
    }
}

async fn r09_late_release_leaves_the_successor_alone(site: Site) {
    for how in LEAVES {
        let id = format!("late-{how:?}");
        let (key, grant) = site.claim(&id, Owner([1; 16])).await;
        let claim = ClaimRequest::new(SCOPE, &key, Owner([1; 16]), LEASE);
        let late = site.delay(&id);
        let release = until_answered(async || site.store.release(ReleaseRequest::new(&claim, grant.fence, how)).await);
        let (standing, late) = tokio::join!(release, late.struck());
        assert_eq!(standing, Standing::Held, "{how:?}");
        let (_, next) = site.claim(&id, Owner([2; 16])).await;
        late.deliver().await;
        site.is_undisturbed(&id, Owner([2; 16]), next.fence).await;
    }
}

macro_rules! on_each_store {
    ($($name:ident)*) => {
        on_each_store!(@ redis, Redis, "starts a Redis server: run by tests/run", $($name)*);
        on_each_store!(@ postgres, Postgres, "starts a PostgreSQL server: run by tests/run", $($name)*);
        on_each_store!(@ mysql, MariaDb, "starts a MariaDB server: run by tests/run", $($name)*);
    };
    (@ $store:ident, $kind:ident, $reason:literal, $($name:ident)*) => {
        mod $store {
            use super::{Kind, Site};

            $(
                #[tokio::test]
                #[ignore = $reason]
                async fn $name() {
                    super::$name(Site::new(Kind::$kind).await).await;
                }
            )*
        }
    };
}

on_each_store! {
    r09_claim_whose_answer_is_lost_runs_once
    r09_late_claim_of_a_completed_call_changes_nothing
    r09_late_claim_claims_nothing_for_a_caller_that_has_gone
    r09_renewal_whose_answer_is_lost_is_repeated
    r09_late_renewal_changes_nothing
    r09_completion_whose_answer_is_lost_is_recorded
    r09_late_completion_changes_nothing
    r09_late_completion_of_a_lost_lease_is_refused
    r09_err_whose_release_is_unanswered_is_the_callers
    r09_release_whose_answer_is_lost_is_held
    r09_late_release_leaves_the_successor_alone
}
