//! The ways in which a store can be broken.

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A completion or a failure asks neither for owner nor for fence.
    UnfencedEnding,
    /// An ending goes by the owner of the row, not by that of the request: a loser frees the winner's key.
    ReleaseByAnyone,
    /// A claim looks, and then writes.
    CheckThenAct,
    /// The same, but only where it takes an orphan over.
    NonAtomicTakeover,
    /// Each handle decides by a clock of its own, a day off its neighbour's.
    ClientClock,
    /// The fence of a key that was expired or forgotten begins anew.
    ForgottenFence,
    /// Keys are compared without their case.
    FoldedKeys,
    /// Keys end at their first NUL byte.
    NulEndsKeys,
    /// Keys are cut after 255 bytes.
    CutKeys,
    /// Scopes are cut after 100 bytes.
    CutScopes,
    /// Scope and key are one text.
    JoinedScopeAndKey,
    /// Records are cut after 255 bytes.
    CutRecords,
    /// A ttl never ends.
    NoExpiry,
    /// A lease never ends.
    EndlessLease,
    /// Leases and ttls are rounded up to seconds.
    WholeSeconds,
    /// A renewal brings an unknown outcome back to life.
    RenewalRevives,
    /// A completion of a row that is not there, or is over, writes one.
    UpsertingCompletion,
    /// A repeat of a completion is refused once its ttl is over.
    RepeatForgottenAfterTtl,
    /// A late completion is refused though nobody has taken over.
    StrictExpiry,
    /// No owner that has left is remembered.
    EndedForgotten,
    /// Only the row's own owner is remembered.
    EndedHasNoSlots,
    /// The row's own owner and three before it are remembered.
    EndedHasThreeSlots,
    /// A duplicate of a running key is told that it is done.
    CompletedInFlight,
    /// A completion drops the fingerprint.
    FingerprintDropped,
    /// A takeover doesn't look at the fingerprint.
    FingerprintUncheckedOnOrphans,
    /// A sweep deletes orphans, parked or not.
    SweepEatsOrphans,
    /// A sweep deletes what is over at once.
    SweepIgnoresLinger,
    /// `NotRun` of a takeover leaves a free key.
    NotRunForgetsDoubt,
    /// `NotRun` before its claim leaves nothing behind.
    NotRunLeavesNoTombstone,
    /// `NotRun` frees whatever it finds running.
    NotRunFreesAnyone,
    /// `NotRun` counts as an attempt.
    AttemptKept,
    /// A failure deletes the row.
    FailureDeletes,
    /// A repeated claim is granted a new fence.
    RepeatedClaimGrowsFence,
    /// A repeated claim of a takeover is granted as First.
    RepeatedClaimIsFirst,
    /// A forgotten row is deleted.
    ForgetDeletes,
    /// An operator's record is written under the fence of the holder.
    ResolutionKeepsFence,
    /// An operator's record can't be replaced.
    ResolutionIsFinal,
    /// A resolution that is replaced keeps the old record.
    ReplacementKeepsRecord,
    /// An operator replaces what a handler recorded.
    ResolutionReplacesAnyRecord,
    /// The completion of a takeover looks like an operator's record.
    CompletionKeepsDoubt,
    /// A wait sleeps as long as it may.
    DeafWait,
    /// A wait looks at the row, and then asks to be told: what happens in between it doesn't hear of.
    LostWakeUp,
    /// The remaining lease is always nothing.
    NothingRemains,
    /// A row stays by the clock alone, though that was set back.
    PurgedBeforeItsFence,
    /// A holder that lost its key to another is told that there is no such key.
    GoneForLost,
    /// A release of a completed key frees it.
    ReleaseOfDone,
}
