//! Who takes part, by which rules, for how long things last, and how much may go wrong in one run.

use std::fmt;
use std::time::Duration;

use idem_runtime::protocol::Micros;
use idem_runtime::store::Orphans;

/// How long a holder may be silent.
pub const LEASE: Duration = Duration::from_secs(10);

/// How long a completion, and a failure, is remembered: for longer than [`LINGER`].
pub const TTL: Duration = Duration::from_secs(90);

/// The same in a run that says `short-ttl`: for less than a linger.
pub(crate) const SHORT_TTL: Duration = Duration::from_secs(20);

/// How long a row outlives its end, and the longest that a request is under way: what the library's requests say for a
/// lease as short as [`LEASE`].
pub const LINGER: Duration = Duration::from_secs(60);

/// By how much the store's clock steps back. The next longer step is more than the protocol bears: a row that was freed at
/// once may be swept [`LINGER`] behind its fence, and the clock would then be at that fence again.
pub const STEP_BACK: Duration = LINGER.saturating_sub(Duration::from_micros(1));

/// The store's clock when a run begins.
pub(crate) const START: Micros = 1_000_000_000;

/// How often a claim is sent before its failure is the caller's.
pub(crate) const CLAIM_ATTEMPTS: u8 = 3;

/// A duration in microseconds, as the clock of a run counts.
pub(crate) fn micros(duration: Duration) -> Micros {
    idem_runtime::protocol::micros(duration)
}

/// What becomes of a key whose holder died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It runs again.
    Rerun,
    /// It is refused until someone resolves it.
    Park,
    /// The user's function is asked first.
    Reconcile,
}

impl Policy {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Rerun, "rerun"), (Self::Park, "park"), (Self::Reconcile, "reconcile")];

    /// What a claim asks for.
    pub(crate) fn orphans(self) -> Orphans {
        if self == Self::Park { Orphans::Refuse } else { Orphans::Take }
    }
}

/// What can go wrong, or need not happen. How often each may is a run's budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Time passes until a lease is over.
    Lease,
    /// Time passes until a ttl is over.
    Ttl,
    /// Time passes until a row may be swept.
    Purge,
    /// Time passes until the oldest request under way is lost for good.
    Life,
    /// The store's clock steps back by [`STEP_BACK`].
    Back,
    /// A process dies.
    Crash,
    /// A caller is dropped, or a body panics.
    Cancel,
    /// A request is sent again.
    Retry,
    /// A caller waits no longer for the answer to its ending.
    GiveUp,
    /// A lease is renewed.
    Renew,
    /// A body, or the function that reconciles, fails.
    Error,
    /// A body fails, and its error keeps the key.
    Keep,
    /// A body says that it did nothing.
    Skip,
    /// An operator resolves a key, says something else of it, or forgets it.
    Operator,
    /// The background repeats a completion whose caller was told that it was not recorded.
    Late,
    /// A duplicate waits for the holder and claims again.
    Wait,
    /// A call in tx mode claims the key.
    Tx,
}

impl Fault {
    /// All of them, in order, with their names.
    pub const ALL: [(Self, &'static str); 17] = [
        (Self::Lease, "lease"),
        (Self::Ttl, "ttl"),
        (Self::Purge, "purge"),
        (Self::Life, "life"),
        (Self::Back, "back"),
        (Self::Crash, "crash"),
        (Self::Cancel, "cancel"),
        (Self::Retry, "retry"),
        (Self::GiveUp, "give-up"),
        (Self::Renew, "renew"),
        (Self::Error, "error"),
        (Self::Keep, "keep"),
        (Self::Skip, "skip"),
        (Self::Operator, "operator"),
        (Self::Late, "late"),
        (Self::Wait, "wait"),
        (Self::Tx, "tx"),
    ];
}

/// How often each fault may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget([u8; Fault::ALL.len()]);

impl Budget {
    pub(crate) fn left(&self, fault: Fault) -> bool {
        self.0[fault as usize] > 0
    }

    pub(crate) fn of(&self, fault: Fault) -> u8 {
        self.0[fault as usize]
    }

    pub(crate) fn spend(&mut self, fault: Fault) {
        self.0[fault as usize] -= 1;
    }
}

/// A rule of the caller that can be taken away. Those of the store are `step`'s, and are taken away by `mutations/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An owner is drawn for each call; without it, for each process.
    OwnerPerCall,
    /// A caller that leaves before its body ran sends `NotRun`.
    LeaverSaysNotRun,
    /// So does one that was answered, while another copy of its claim may be under way.
    UnansweredClaimsCount,
    /// An answer that comes after the lease that it grants isn't believed.
    LateGrantIsDiscarded,
    /// The lease is looked at again once the function that reconciles has returned.
    LeaseIsSeenAgain,
    /// A drop after the body returned leaves its ending as it is.
    EndingSurvivesDrop,
    /// An error of the function that reconciles is `NotRun`; without it `Failed`.
    ReconcileErrorIsNotRun,
    /// The ending of a body that says that it did nothing is `NotRun`; without it `Failed`.
    SkipIsNotRun,
    /// `keep` ends the heartbeat.
    KeepEndsHeartbeat,
    /// All copies of a request are sent within its life; without it a paused process goes on with an old claim.
    RepeatsEndInTime,
    /// The store parks; without it the caller does, behind a takeover.
    StoreParks,
}

impl Rule {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::OwnerPerCall, "owner-per-call"),
        (Self::LeaverSaysNotRun, "leaver-says-not-run"),
        (Self::UnansweredClaimsCount, "unanswered-claims-count"),
        (Self::LateGrantIsDiscarded, "late-grant-is-discarded"),
        (Self::LeaseIsSeenAgain, "lease-is-seen-again"),
        (Self::EndingSurvivesDrop, "ending-survives-drop"),
        (Self::ReconcileErrorIsNotRun, "reconcile-error-is-not-run"),
        (Self::SkipIsNotRun, "skip-is-not-run"),
        (Self::KeepEndsHeartbeat, "keep-ends-heartbeat"),
        (Self::RepeatsEndInTime, "repeats-end-in-time"),
        (Self::StoreParks, "store-parks"),
    ];
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Processes.
    pub workers: u8,
    /// Calls of each, one after the other, for the same key.
    pub calls: u8,
    pub policy: Policy,
    /// The workers' calls have one of two fingerprints.
    pub two_fingerprints: bool,
    pub(crate) ttl: Duration,
    /// The rules that are taken away.
    without: [bool; Rule::ALL.len()],
    pub(crate) budget: Budget,
}

impl Setup {
    /// Two workers with two calls each, to which nothing happens.
    pub fn new(policy: Policy) -> Self {
        let without = [false; Rule::ALL.len()];
        Self { workers: 2, calls: 2, policy, two_fingerprints: false, ttl: TTL, without, budget: Budget::default() }
    }

    /// How long a row outlives a lease that was never ended; `None`: for ever.
    pub(crate) fn retain(&self) -> Option<Duration> {
        (self.policy == Policy::Rerun).then_some(self.ttl)
    }

    pub(crate) fn has(&self, rule: Rule) -> bool {
        !self.without[rule as usize]
    }

    /// Changes this as the words say: a policy, `workers=`, `calls=`, `fingerprints`, `short-ttl`, `without=` a rule of the caller,
    /// or
    /// a fault and how often it may happen.
    ///
    /// # Errors
    ///
    /// The word that says nothing.
    pub fn with(mut self, words: &str) -> Result<Self, Unknown> {
        for word in words.split_whitespace() {
            self.word(word).ok_or_else(|| Unknown(word.to_owned()))?;
        }
        Ok(self)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        if let Some((policy, _)) = Policy::ALL.into_iter().find(|(_, name)| *name == word) {
            self.policy = policy;
            return Some(());
        }
        match word.split_once('=') {
            None if word == "fingerprints" => self.two_fingerprints = true,
            None if word == "short-ttl" => self.ttl = SHORT_TTL,
            None => return None,
            Some(("workers", number)) => self.workers = number.parse().ok()?,
            Some(("calls", number)) => self.calls = number.parse().ok()?,
            Some(("without", rule)) => {
                let (rule, _) = Rule::ALL.into_iter().find(|(_, name)| *name == rule)?;
                self.without[rule as usize] = true;
            }
            Some((fault, times)) => {
                let (fault, _) = Fault::ALL.into_iter().find(|(_, name)| *name == fault)?;
                self.budget.0[fault as usize] = times.parse().ok()?;
            }
        }
        Some(())
    }
}

/// A word of a run that says nothing.
#[derive(Debug)]
pub struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a run knows no `{}`", self.0)
    }
}

impl std::error::Error for Unknown {}
