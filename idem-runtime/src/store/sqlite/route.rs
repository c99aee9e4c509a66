//! Which thread a claim goes to. Decides nothing about the claim: both threads give the same answers.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// How common duplicates have been of late.
///
/// A duplicate is best answered by a reader, which waits for nobody's sync. A new key is the writer's, and a look on the
/// way there is one thread and one statement too many.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// Whether a reader has to be asked: the writer can't write.
    reads_only: bool,
    duplicates: AtomicU32,
    releases: AtomicUsize,
}

impl Route {
    /// After as many new keys in a row, none is expected to be a duplicate.
    const MEMORY: u32 = 64;
    /// So that readers are asked where one claim in nine or more is a duplicate.
    const WEIGHT: u32 = 8;

    /// Of a file that is only read, or not.
    pub(super) fn new(reads_only: bool) -> Self {
        Self { reads_only, ..Self::default() }
    }

    /// Whether a claim is to be shown to a reader first.
    pub(super) fn by_reader(&self) -> bool {
        self.reads_only || self.duplicates.load(Ordering::Relaxed) > 0
    }

    /// A claim was one of a duplicate.
    pub(super) fn duplicate(&self) {
        let _ = self.duplicates.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
            (seen < Self::MEMORY).then(|| (seen + Self::WEIGHT).min(Self::MEMORY))
        });
    }

    /// A reader was shown a claim that it had to pass on.
    pub(super) fn passed_on(&self) {
        let _ = self.duplicates.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| seen.checked_sub(1));
    }

    /// A release is on its way to the writer. A duplicate that comes after it must not be told the lease of the holder
    /// that is leaving: it would be delivered again only when that is over.
    pub(super) fn release_sent(&self) {
        self.releases.fetch_add(1, Ordering::AcqRel);
    }

    /// The writer has carried it out.
    pub(super) fn release_done(&self) {
        self.releases.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether a key may be about to be left.
    pub(super) fn awaits_release(&self) -> bool {
        self.releases.load(Ordering::Acquire) > 0
    }
}
