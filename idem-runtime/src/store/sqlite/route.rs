//! Which thread a claim goes to. It doesn't change the answer: both threads give the same one.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Tracks how common duplicates have been lately.
///
/// A reader answers a duplicate best, because it doesn't wait for the writer's sync. A new key needs the writer, and
/// asking a reader first costs a thread switch and a statement.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// Whether each claim goes to a reader, because the writer can't write.
    reads_only: bool,
    duplicates: AtomicU32,
    releases: AtomicUsize,
}

impl Route {
    /// After this many new keys in a row, no duplicate is expected.
    const MEMORY: u32 = 64;
    /// Each duplicate counts for this many new keys. So claims go to readers if one claim in nine or more is a
    /// duplicate.
    const WEIGHT: u32 = 8;

    /// `reads_only`: the file is opened read-only.
    pub(super) fn new(reads_only: bool) -> Self {
        Self { reads_only, ..Self::default() }
    }

    /// Whether a claim goes to a reader first.
    pub(super) fn by_reader(&self) -> bool {
        self.reads_only || self.duplicates.load(Ordering::Relaxed) > 0
    }

    /// Called when a claim was a duplicate's.
    pub(super) fn duplicate(&self) {
        let _ = self.duplicates.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| {
            (seen < Self::MEMORY).then(|| (seen + Self::WEIGHT).min(Self::MEMORY))
        });
    }

    /// Called when a reader passed a claim on to the writer.
    pub(super) fn passed_on(&self) {
        let _ = self.duplicates.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seen| seen.checked_sub(1));
    }

    /// Called when a release is sent to the writer. A duplicate after it must not be told the remaining lease of the
    /// holder that is leaving, because it would be delivered again only when that lease is over.
    pub(super) fn release_sent(&self) {
        self.releases.fetch_add(1, Ordering::AcqRel);
    }

    /// Called when the writer has carried out a release.
    pub(super) fn release_done(&self) {
        self.releases.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether a release is on its way, so that a key may become free.
    pub(super) fn awaits_release(&self) -> bool {
        self.releases.load(Ordering::Acquire) > 0
    }
}
