//! The ways in which a store can be broken.

/// The faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A completion or a release checks neither the owner nor the fence.
    UnfencedEnding,
    /// An ending uses the owner of the row, not that of the request: a caller that lost frees the key of the one that won.
    ReleaseByAnyone,
    /// A claim reads the row in one step and writes it in another.
    CheckThenAct,
    /// The same, but only when it takes over an orphan.
    NonAtomicTakeover,
    /// Each handle decides by a clock of its own, a day off its neighbour's.
    ClientClock,
    /// The fence of a key that has expired or was forgotten begins at the first number again.
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
    /// A repeated completion is refused once its ttl is over.
    RepeatForgottenAfterTtl,
    /// A late completion is refused though nobody has taken over.
    StrictExpiry,
    /// The row remembers no owner that has left.
    EndedForgotten,
    /// The row remembers only its own owner.
    EndedHasNoSlots,
    /// The row remembers its own owner and only three before it.
    EndedHasThreeSlots,
    /// A duplicate of a running key is told that it is done.
    CompletedInFlight,
    /// A completion drops the fingerprint.
    FingerprintDropped,
    /// A completed key is answered at once, whatever the fingerprint.
    AtOnceForAnyFingerprint,
    /// A completed key is answered at once, also once its ttl is over.
    AtOnceBeyondTtl,
    /// A takeover doesn't look at the fingerprint.
    FingerprintUncheckedOnOrphans,
    /// A sweep deletes orphans, parked or not.
    SweepEatsOrphans,
    /// A sweep deletes rows as soon as their lease or ttl is over.
    SweepIgnoresLinger,
    /// `NotRun` of a takeover leaves a free key.
    NotRunForgetsDoubt,
    /// `NotRun` before its claim leaves nothing behind.
    NotRunLeavesNoTombstone,
    /// `NotRun` frees a running key, even if another owner holds it.
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
    /// A wait always lasts as long as it may.
    DeafWait,
    /// A wait reads the row, and then registers for a notification: it misses an ending in between.
    LostWakeUp,
    /// The remaining lease is always zero.
    NothingRemains,
    /// `NotRun` doesn't put off when an old row may be deleted.
    NotRunLeavesAnOldRow,
    /// A row is deleted by the clock alone, without regard to its fence, though the clock was set back.
    PurgedBeforeItsFence,
    /// A holder that lost its key to another is told that there is no such key.
    GoneForLost,
    /// A release of a completed key frees it.
    ReleaseOfDone,
}
