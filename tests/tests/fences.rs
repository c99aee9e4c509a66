//! R8: the fences of one key only grow, even if the store's clock steps back. These tests use the state machine alone, with a clock
//! that they set.

use std::time::Duration;

use idem_runtime::protocol::{Micros, Operation, Reply, Row, State, step};
use idem_runtime::store::{
    ClaimRequest, CompleteRequest, Key, Leave, Orphans, Owner, Record, ReleaseRequest, RenewRequest,
};
use proptest::prelude::*;

const SECOND: Micros = 1_000_000;
const START: Micros = 1_800_000_000 * SECOND;

/// What happens to the key next.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// One of the callers claims.
    Claim {
        caller: u8,
        lease: u64,
        parks: bool,
    },
    /// The last holder renews its lease, with its fence. The next two are a holder's as well.
    Renew {
        lease: u64,
    },
    Complete {
        ttl: u64,
    },
    Release {
        how: Leave,
        retain: u64,
    },
    /// A caller gives up before it has got the answer to its claim.
    GiveUp {
        caller: u8,
    },
    ResolveExecuted {
        ttl: u64,
    },
    ResolveNotExecuted,
    Forget,
    /// A sweep runs.
    Sweep,
    /// So many seconds pass.
    Wait(u64),
    /// The clock is set so many seconds ahead, or back.
    SetAhead(u64),
    SetBack(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let brief = || prop_oneof![Just(1), 1..200_u64];
    let set = || prop_oneof![1..300_u64, 1..100_000_u64];
    let caller = || 0..6_u8;
    let how = prop_oneof![Just(Leave::Failed), Just(Leave::OutcomeUnknown), Just(Leave::Keep), Just(Leave::NotRun)];
    let event = prop_oneof![
        6 => (caller(), brief(), prop::bool::weighted(0.2))
            .prop_map(|(caller, lease, parks)| Event::Claim { caller, lease, parks }),
        1 => brief().prop_map(|lease| Event::Renew { lease }),
        2 => brief().prop_map(|ttl| Event::Complete { ttl }),
        3 => (how, brief()).prop_map(|(how, retain)| Event::Release { how, retain }),
        1 => caller().prop_map(|caller| Event::GiveUp { caller }),
        1 => brief().prop_map(|ttl| Event::ResolveExecuted { ttl }),
        1 => Just(Event::ResolveNotExecuted),
        1 => Just(Event::Forget),
        4 => Just(Event::Sweep),
        4 => brief().prop_map(Event::Wait),
        1 => set().prop_map(Event::SetAhead),
        2 => set().prop_map(Event::SetBack),
    ];
    prop::collection::vec(event, 1..60)
}

/// A store of one key.
struct Store {
    row: Option<Row>,
    now: Micros,
    /// The highest fence that a row had.
    highest: u64,
    /// When a sweep deleted the row. The clock isn't set back beyond that: without a row, nothing keeps the next fence above the last.
    swept_at: Micros,
    /// How many owners were drawn. Each claim of a caller that isn't a repetition gets a new one.
    drawn: u64,
    owners: [Owner; 6],
    holder: (Owner, u64),
}

impl Store {
    fn new() -> Self {
        let nobody = Owner([0; 16]);
        Self { row: None, now: START, highest: 0, swept_at: 0, drawn: 0, owners: [nobody; 6], holder: (nobody, 0) }
    }

    /// The owner of a caller's next claim. A caller that holds the key repeats its claim, with the same owner.
    fn owner(&mut self, caller: u8) -> Owner {
        let owner = &mut self.owners[usize::from(caller)];
        let holds = self.row.is_some_and(|row| row.owner == *owner && row.state == State::Running);
        if !holds {
            self.drawn += 1;
            *owner = Owner(u128::from(self.drawn).to_be_bytes());
        }
        *owner
    }

    fn apply(&mut self, operation: Operation<'_>) -> Reply {
        let next = step(self.row.as_ref(), operation, self.now);
        if let Some(row) = next.row {
            assert!(row.fence >= self.row.map_or(0, |row| row.fence), "{operation:?}: a row's fence shrinks: {row:?}");
            assert!(row.purge_at.is_none_or(|at| at > row.fence), "{operation:?}: purged early: {row:?}");
            self.row = Some(row);
        }
        next.reply
    }

    fn claim(&mut self, request: &ClaimRequest<'_>) {
        let repeated = self.row.filter(|row| row.owner == request.owner && row.state == State::Running);
        let Reply::Acquired(grant) = self.apply(Operation::Claim(request)) else { return };
        match repeated {
            Some(row) => assert_eq!(grant.fence, row.fence, "a repeat is granted the same"),
            None => assert!(grant.fence > self.highest, "{} after {}", grant.fence, self.highest),
        }
        self.holder = (request.owner, grant.fence);
    }

    fn happens(&mut self, event: Event) {
        let (key, record) = (Key::from_bytes(b"k").unwrap(), Record::from_bytes(b"r"));
        let claim = |owner, lease| {
            let mut claim = ClaimRequest::new("s", &key, owner, Duration::from_secs(lease));
            claim.retain = Some(Duration::from_secs(1));
            claim
        };
        let (owner, fence) = self.holder;
        let held = claim(owner, 1);
        match event {
            Event::Claim { caller, lease, parks } => {
                let mut claim = claim(self.owner(caller), lease);
                if parks {
                    (claim.orphans, claim.retain) = (Orphans::Refuse, None);
                }
                self.claim(&claim);
            }
            Event::Renew { lease } => {
                self.apply(Operation::Renew(&RenewRequest::new(&claim(owner, lease), fence)));
            }
            Event::Complete { ttl } => {
                let ttl = Duration::from_secs(ttl);
                self.apply(Operation::Complete(&CompleteRequest::new(&held, fence, &record, ttl)));
            }
            Event::Release { how, retain } => {
                let mut release = ReleaseRequest::new(&held, fence, how);
                release.retain = Duration::from_secs(retain);
                self.apply(Operation::Release(&release));
            }
            Event::GiveUp { caller } => {
                let claim = claim(self.owners[usize::from(caller)], 1);
                self.apply(Operation::Release(&ReleaseRequest::new(&claim, 0, Leave::NotRun)));
            }
            Event::ResolveExecuted { ttl } => {
                self.apply(Operation::ResolveExecuted { ttl: Duration::from_secs(ttl) });
            }
            Event::ResolveNotExecuted => drop(self.apply(Operation::ResolveNotExecuted)),
            Event::Forget => drop(self.apply(Operation::Forget)),
            Event::Sweep if self.row.is_some_and(|row| row.is_sweepable(self.now)) => {
                (self.row, self.swept_at) = (None, self.now);
            }
            Event::Sweep => {}
            Event::Wait(seconds) | Event::SetAhead(seconds) => self.now += seconds * SECOND,
            // Not further back than the last sweep that deleted the row: without a row, nothing keeps the next fence above the last.
            Event::SetBack(seconds) => self.now = (self.now - seconds * SECOND).max(self.swept_at),
        }
        self.highest = self.highest.max(self.row.map_or(0, |row| row.fence));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn r08_fences_grow_over_purges_and_a_clock_that_is_set_back(events in events()) {
        let mut store = Store::new();
        for event in events {
            store.happens(event);
        }
    }
}

/// Every way to end a claim after which the row may be purged. The clock is set back by an hour between the claim and the ending.
#[test]
fn r08_no_ending_lets_a_row_be_purged_before_its_fence() {
    const BACK: u64 = 3_600;
    let endings: [(&str, &[Event]); 10] = [
        ("forgotten", &[Event::Forget]),
        ("completed", &[Event::Complete { ttl: 1 }]),
        ("failed", &[Event::Release { how: Leave::Failed, retain: 1 }]),
        ("left before its body ran", &[Event::Release { how: Leave::NotRun, retain: 1 }]),
        ("renewed, then silent", &[Event::Renew { lease: 1 }]),
        ("kept", &[Event::Renew { lease: 1 }, Event::Release { how: Leave::Keep, retain: 1 }]),
        (
            "unknown, resolved as not run",
            &[Event::Release { how: Leave::OutcomeUnknown, retain: 1 }, Event::ResolveNotExecuted],
        ),
        (
            "unknown, resolved as run",
            &[Event::Release { how: Leave::OutcomeUnknown, retain: 1 }, Event::ResolveExecuted { ttl: 1 }],
        ),
        (
            "unknown, resolved as run, twice",
            &[
                Event::Release { how: Leave::OutcomeUnknown, retain: 1 },
                Event::ResolveExecuted { ttl: 1 },
                Event::ResolveExecuted { ttl: 1 },
            ],
        ),
        (
            "unknown, taken over, then silent",
            &[
                Event::Release { how: Leave::OutcomeUnknown, retain: 1 },
                Event::Claim { caller: 1, lease: 1, parks: false },
            ],
        ),
    ];
    for (ending, events) in endings {
        let mut store = Store::new();
        store.happens(Event::Claim { caller: 0, lease: 1, parks: false });
        store.happens(Event::SetBack(BACK));
        events.iter().for_each(|event| store.happens(*event));
        // Lease, ttl and linger are over now, but the clock has not reached the fence yet.
        store.happens(Event::Wait(120));
        store.happens(Event::Sweep);
        assert!(store.row.is_some(), "{ending}: purged while its fence lies ahead");
        store.happens(Event::Wait(BACK));
        store.happens(Event::Sweep);
        assert!(store.row.is_none(), "{ending}: {:?} is kept for ever", store.row);
        store.happens(Event::Claim { caller: 2, lease: 1, parks: false });
    }
}
