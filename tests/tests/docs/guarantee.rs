//! What the page on the guarantee says of each timeline, by policy: each line of its table is what happens here.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use idem_runtime::{Claim, Error, MemoryStore, Outcome, idempotent};
use idem_tests::Gate;

/// A provider that carries out whatever it is asked for, and tells whoever asks how often it was.
static CHARGES: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

fn charges(id: &str) -> u32 {
    CHARGES.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied().unwrap_or(0)
}

fn charge(id: &str) -> u32 {
    let mut charges = CHARGES.lock().unwrap_or_else(PoisonError::into_inner);
    let times = charges.entry(id.to_owned()).or_default();
    *times += 1;
    *times
}

/// Where a handler waits for its gate.
#[derive(Clone)]
enum Stands {
    BeforeTheEffect(Gate),
    BehindIt(Gate),
    Nowhere,
}

impl Stands {
    async fn handle(self, id: &str) -> Result<Outcome<u32>, Error> {
        if let Self::BeforeTheEffect(gate) = &self {
            gate.pass().await;
        }
        let times = charge(id);
        if let Self::BehindIt(gate) = &self {
            gate.pass().await;
        }
        Ok(times.into())
    }
}

#[idempotent(key = "id", scope = "guarantee/rerun", store = store, lease = "60s")]
async fn reruns(store: &MemoryStore, id: &str, stands: Stands) -> Result<Outcome<u32>, Error> {
    stands.handle(id).await
}

#[idempotent(key = "id", scope = "guarantee/park", store = store, lease = "60s", on_crash = "park")]
async fn parks(store: &MemoryStore, id: &str, stands: Stands) -> Result<Outcome<u32>, Error> {
    stands.handle(id).await
}

async fn find(claim: &Claim) -> Result<Option<u32>, Error> {
    Ok(Some(charges(&claim.key().to_string())).filter(|&times| times > 0))
}

#[idempotent(key = "id", scope = "guarantee/asks", store = store, lease = "60s", on_crash = find)]
async fn asks(store: &MemoryStore, id: &str, stands: Stands) -> Result<Outcome<u32>, Error> {
    stands.handle(id).await
}

#[derive(Clone, Copy, Debug)]
enum Policy {
    Rerun,
    Park,
    Ask,
}

/// An order under a policy, and the store's clock.
struct Order {
    policy: Policy,
    id: String,
    store: MemoryStore,
    seconds: Arc<AtomicU64>,
}

impl Order {
    fn new(policy: Policy, story: &str) -> Self {
        let seconds = Arc::new(AtomicU64::new(1));
        let clock = Arc::clone(&seconds);
        let store = MemoryStore::with_clock(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
        Self { policy, id: format!("{story}, {policy:?}"), store, seconds }
    }

    async fn delivered(&self, stands: Stands) -> Result<Outcome<u32>, Error> {
        match self.policy {
            Policy::Rerun => reruns(&self.store, &self.id, stands).await,
            Policy::Park => parks(&self.store, &self.id, stands).await,
            Policy::Ask => asks(&self.store, &self.id, stands).await,
        }
    }

    async fn again(&self) -> Result<Outcome<u32>, Error> {
        self.delivered(Stands::Nowhere).await
    }

    fn lease_is_over(&self) {
        self.seconds.fetch_add(60, Ordering::Relaxed);
    }

    /// Its handler stands where it does, and its process is killed: nothing of it runs again, no destructor either.
    async fn killed(&self, stands: impl Fn(Gate) -> Stands) {
        let gate = Gate::default();
        let mut call = Box::pin(self.delivered(stands(gate.clone())));
        tokio::select! {
            _ = &mut call => panic!("it stands"),
            () = gate.started() => {}
        }
        std::mem::forget(call);
        assert!(matches!(self.again().await, Err(Error::InProgress { .. })), "until its lease is over");
        self.lease_is_over();
    }

    /// The same, and its future is dropped.
    async fn dropped(&self, stands: impl Fn(Gate) -> Stands) {
        let gate = Gate::default();
        tokio::select! {
            _ = self.delivered(stands(gate.clone())) => panic!("it stands"),
            () = gate.started() => {}
        }
    }

    /// The same, but it wakes once the order was delivered again behind its lease.
    async fn stood_still(&self, stands: impl Fn(Gate) -> Stands) -> (Told, Told) {
        let gate = Gate::default();
        let mut call = pin!(self.delivered(stands(gate.clone())));
        tokio::select! {
            _ = &mut call => panic!("it stands"),
            () = gate.started() => {}
        }
        self.lease_is_over();
        let second = Told::of(self.again().await);
        gate.open();
        (Told::of(call.await), second)
    }

    fn said(&self, told: Told) -> String {
        let times = ["not charged", "charged once", "charged twice"][charges(&self.id) as usize];
        format!("{}; {times}", told.0)
    }
}

/// What a delivery got, in the page's words.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Told(&'static str);

impl Told {
    fn of(result: Result<Outcome<u32>, Error>) -> Self {
        Self(match result {
            Ok(Outcome::Executed(_)) => "runs",
            Ok(Outcome::Replayed(_)) => "replays",
            Err(Error::OutcomeUnknown { .. }) => "`OutcomeUnknown`",
            Err(Error::InProgress { .. }) => "`InProgress`",
            Err(Error::LeaseLost { .. }) => "`LeaseLost`",
            other => panic!("{other:?}"),
        })
    }
}

/// The line of the page's table, and what the next delivery gets under each policy.
async fn line(story: &str, what: impl AsyncFn(&Order)) -> String {
    let mut line = format!("| {story} |");
    for policy in [Policy::Rerun, Policy::Park, Policy::Ask] {
        let order = Order::new(policy, story);
        what(&order).await;
        line += &format!(" {} |", order.said(Told::of(order.again().await)));
    }
    line
}

fn assert_said(line: &str) {
    let page = std::fs::read_to_string(super::project().join("docs/src/guarantee.md")).unwrap();
    assert!(page.lines().any(|said| said == line), "guarantee.md has no line\n{line}");
}

#[tokio::test]
async fn a_holder_that_was_killed_is_told_as_the_page_says() {
    assert_said(&line("killed before the effect", async |order| order.killed(Stands::BeforeTheEffect).await).await);
    let between = "killed between the effect and the record";
    assert_said(&line(between, async |order| order.killed(Stands::BehindIt).await).await);
    let ends = async |order: &Order| assert_eq!(Told::of(order.again().await), Told("runs"));
    assert_said(&line("killed behind the record, before the acknowledgement", ends).await);
}

#[tokio::test]
async fn a_holder_that_was_dropped_is_told_as_the_page_says() {
    assert_said(&line("dropped before the effect", async |order| order.dropped(Stands::BeforeTheEffect).await).await);
    assert_said(&line("dropped behind the effect", async |order| order.dropped(Stands::BehindIt).await).await);
}

#[tokio::test]
async fn a_duplicate_of_a_running_order_is_told_as_the_page_says() {
    let overtakes = async |order: &Order| {
        let gate = Gate::default();
        let both = async {
            gate.started().await;
            assert_eq!(Told::of(order.again().await), Told("`InProgress`"));
            gate.open();
        };
        let (first, ()) = tokio::join!(order.delivered(Stands::BeforeTheEffect(gate.clone())), both);
        assert_eq!(Told::of(first), Told("runs"));
    };
    assert_said(&line("runs, and B's second delivery comes behind its record", overtakes).await);
}

/// The line of what the one gets that woke, and the one that came meanwhile.
async fn line_of_both(story: &str, stands: impl Fn(Gate) -> Stands) -> String {
    let mut line = format!("| {story} |");
    for policy in [Policy::Rerun, Policy::Park, Policy::Ask] {
        let order = Order::new(policy, story);
        let (first, second) = order.stood_still(&stands).await;
        let first = if first == Told("runs") { "records" } else { first.0 };
        line += &format!(" A {first}, B {} |", order.said(second));
        assert_eq!(Told::of(order.again().await), Told("replays"));
    }
    line
}

#[tokio::test]
async fn a_holder_that_stood_still_is_told_as_the_page_says() {
    assert_said(&line_of_both("stood still before the effect", Stands::BeforeTheEffect).await);
    assert_said(&line_of_both("stood still behind the effect", Stands::BehindIt).await);
}
