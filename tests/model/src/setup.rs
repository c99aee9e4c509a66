//! Who takes part, by which rules, and how much may go wrong in one run.

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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rerun, Self::Park, Self::Reconcile];
}

/// A run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Processes.
    pub workers: u8,
    /// Calls of each, one after the other.
    pub calls: u8,
    pub policy: Policy,
    /// The calls want one of two keys.
    pub two_keys: bool,
    /// The workers' calls have one of two fingerprints.
    pub two_fingerprints: bool,
    pub rules: Rules,
    pub budget: Budget,
}

impl Setup {
    /// Two workers with two calls each, by the whole protocol, with one fault of each common kind.
    pub fn new(policy: Policy) -> Self {
        Self {
            workers: 2,
            calls: 2,
            policy,
            two_keys: false,
            two_fingerprints: false,
            rules: Rules::ALL,
            budget: Budget { lease: 1, ttl: 1, sweep: 1, crash: 1, retry: 1, cancel: 1, error: 1, ..Budget::NONE },
        }
    }
}

/// How often each may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// A lease ends.
    pub lease: u8,
    /// A ttl ends.
    pub ttl: u8,
    pub sweep: u8,
    /// A process dies.
    pub crash: u8,
    pub renew: u8,
    /// A request is sent again.
    pub retry: u8,
    /// A caller is dropped, or a body panics.
    pub cancel: u8,
    /// A body, or the function that reconciles, fails.
    pub error: u8,
    /// An operator resolves a key, replaces a resolution, or forgets a key.
    pub admin: u8,
    /// A caller stops waiting for an answer.
    pub give_up: u8,
    /// A body fails, and its error keeps the key.
    pub keep: u8,
    /// The background repeats a completion whose caller was told that it was not recorded.
    pub late: u8,
}

impl Budget {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        lease: 0,
        ttl: 0,
        sweep: 0,
        crash: 0,
        renew: 0,
        retry: 0,
        cancel: 0,
        error: 0,
        admin: 0,
        give_up: 0,
        keep: 0,
        late: 0,
    };
}

/// The rules, each of which can be taken away.
#[derive(Clone, Debug)]
pub struct Rules {
    /// An owner is drawn for each call; without it, for each process.
    pub owner_per_call: bool,
    /// How many owners a row remembers, its own included; without it none.
    pub slots: usize,
    /// A failure leaves the row.
    pub failure_keeps_row: bool,
    /// Fences go on after a deletion, as the clock does.
    pub fence_survives: bool,
    /// A sweep leaves orphans.
    pub sweep_spares_orphans: bool,
    /// A caller that leaves before its body ran sends `NotRun`.
    pub leaver_says_not_run: bool,
    /// `NotRun` leaves something behind that refuses its claim, should that come later.
    pub not_run_refuses_claim: bool,
    /// `NotRun` of a taker restores the orphan.
    pub doubt_survives_not_run: bool,
    /// A repeated claim is told the same of its predecessor.
    pub repeat_is_told_the_same: bool,
    /// A completion is an update; without it an upsert.
    pub completion_is_update: bool,
    /// A repeated completion is held though its ttl is over.
    pub completion_repeats_after_ttl: bool,
    /// Rows outlive every request that is under way.
    pub linger: bool,
    /// "Unknown" is a state; without it a lease that has ended, which a renewal revives.
    pub unknown_is_a_state: bool,
    /// A drop after the body returned leaves its ending as it is.
    pub ending_survives_drop: bool,
    /// A release never touches a completed row.
    pub done_is_final: bool,
    /// An ending counts after its lease, as long as nobody took over.
    pub late_ending_counts: bool,
    /// A claim that finds its own row is granted the same fence, also after its lease.
    pub repeat_keeps_fence: bool,
    /// The store refuses an orphan under park; without it the client, which takes it over first.
    pub store_parks: bool,
    /// Endings are checked by owner and fence; without it by owner.
    pub fence_is_checked: bool,
    /// An error of the function that reconciles is `NotRun`; without it `Failed`.
    pub reconcile_error_is_not_run: bool,
    /// An orphan's fingerprint is checked too.
    pub fingerprint_of_orphans: bool,
    /// `keep` ends the heartbeat.
    pub keep_ends_heartbeat: bool,
    /// A forgotten row stays.
    pub forget_keeps_row: bool,
    /// An operator's word raises the fence.
    pub resolve_raises_fence: bool,
    /// A resolution is marked as one; without it an operator replaces whatever record is there.
    pub resolution_is_marked: bool,
    /// An answer that comes after the lease that it grants isn't believed.
    pub late_grant_is_discarded: bool,
    /// A caller with a claim that was not answered sends `NotRun` when it leaves.
    pub unanswered_claims_count: bool,
}

impl Rules {
    /// The protocol.
    pub const ALL: Self = Self {
        owner_per_call: true,
        slots: 9,
        failure_keeps_row: true,
        fence_survives: true,
        sweep_spares_orphans: true,
        leaver_says_not_run: true,
        not_run_refuses_claim: true,
        doubt_survives_not_run: true,
        repeat_is_told_the_same: true,
        completion_is_update: true,
        completion_repeats_after_ttl: true,
        linger: true,
        unknown_is_a_state: true,
        ending_survives_drop: true,
        done_is_final: true,
        late_ending_counts: true,
        repeat_keeps_fence: true,
        store_parks: true,
        fence_is_checked: true,
        reconcile_error_is_not_run: true,
        fingerprint_of_orphans: true,
        keep_ends_heartbeat: true,
        forget_keeps_row: true,
        resolve_raises_fence: true,
        resolution_is_marked: true,
        late_grant_is_discarded: true,
        unanswered_claims_count: true,
    };
}
