//! What a store keeps of a key.

use super::values::{Fingerprint, Micros, Owner, Previous};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Claimed. An orphan once its lease is over.
    Running = 1,
    /// The holder left in the middle of its body.
    Unknown = 2,
    /// The handler failed in a way that may have had an effect; an orphan once its lease is over.
    Kept = 3,
    /// Nobody holds it, and no outcome is in doubt.
    Free = 4,
    /// Completed. As good as absent once its ttl is over.
    Done = 5,
}

impl State {
    /// The state with this number, as `state as u8` gives it.
    pub fn from_u8(number: u8) -> Option<Self> {
        [Self::Running, Self::Unknown, Self::Kept, Self::Free, Self::Done].into_iter().find(|s| *s as u8 == number)
    }
}

/// The last owners that left a key: what tells a late copy of a claim from a claim.
///
/// Four, because with three a copy that was overtaken by three other calls claims for a caller that has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ended([Option<Owner>; 4]);

impl Ended {
    /// How many owners are remembered.
    pub const SLOTS: usize = 4;

    #[cfg(feature = "memory")]
    pub(crate) const fn from_slots(slots: [Option<Owner>; Self::SLOTS]) -> Self {
        Self(slots)
    }

    /// The newest first.
    pub fn iter(&self) -> impl Iterator<Item = Owner> + '_ {
        self.0.iter().copied().flatten()
    }

    /// From the owners, newest first; those beyond the fourth are dropped.
    pub fn from_owners(owners: impl IntoIterator<Item = Owner>) -> Self {
        let mut ended = Self::default();
        for (slot, owner) in ended.0.iter_mut().zip(owners) {
            *slot = Some(owner);
        }
        ended
    }

    /// Whether nobody is remembered.
    pub fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    fn contains(&self, owner: Owner) -> bool {
        self.0.contains(&Some(owner))
    }

    pub(super) fn push(&mut self, owner: Owner) {
        if !self.contains(owner) {
            self.0.rotate_right(1);
            self.0[0] = Some(owner);
        }
    }
}

/// What a store keeps of a key, beside its scope, the key itself, and the [`Record`] of a [`State::Done`] row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where the key is in its life.
    pub state: State,
    /// Who claimed it last; stays after an ending.
    pub owner: Owner,
    /// The fence that was granted last. Only ever grows.
    pub fence: u64,
    /// When the lease ends (`Running`, `Kept`) or the ttl (`Done`). Of no meaning in `Unknown` and `Free`.
    pub until: Micros,
    /// The fence of the last holder whose outcome is unknown: in `Unknown` the one to ask about, in `Running` and `Kept` the
    /// one that the current holder took over from, if it did. In `Done` the one whose outcome an operator told: it marks
    /// the record as a resolution ([`is_resolution`](Row::is_resolution)), and a handler's own completion has none.
    pub doubt: Option<u64>,
    /// What the claim was told of its predecessor; what the next one is told, where the state is `Free`.
    pub previous: Previous,
    /// How many times the handler has been started.
    pub attempt: u32,
    /// A digest of what the key stands for.
    pub fingerprint: Option<Fingerprint>,
    /// The last owners that left.
    pub ended: Ended,
    /// From when on a sweep may delete the row; `None`: never. Later than its fence, even where the clock has stepped back
    /// since that was granted: a row that went earlier would let the next fence be smaller.
    pub purge_at: Option<Micros>,
}

impl Row {
    /// Whether a sweep may delete this row. An orphan under park or a reconcile function never is: its outcome would be
    /// forgotten, and the body run again.
    pub fn is_sweepable(&self, now: Micros) -> bool {
        let needed = match self.state {
            State::Free | State::Unknown => false,
            State::Done | State::Running | State::Kept => self.until > now,
        };
        !needed && self.purge_at.is_some_and(|at| at <= now)
    }

    /// Whether the outcome of the last holder is unknown, and nobody holds the key.
    pub fn is_orphan(&self, now: Micros) -> bool {
        match self.state {
            State::Unknown => true,
            State::Running | State::Kept => self.until <= now,
            State::Free | State::Done => false,
        }
    }

    /// Whether the record is an operator's, which another one may replace. A record that is over is as good as absent.
    pub fn is_resolution(&self, now: Micros) -> bool {
        self.state == State::Done && self.doubt.is_some() && self.until > now
    }

    /// The fence of the holder whose outcome is unknown, of an orphan; or was, of a resolution.
    pub(super) fn fence_in_doubt(&self) -> u64 {
        match self.state {
            // A holder that left before its body ran did nothing: the one before it is still in doubt.
            State::Unknown | State::Done => self.doubt.unwrap_or(self.fence),
            State::Running | State::Kept | State::Free => self.fence,
        }
    }

    pub(super) fn is_held_by(&self, owner: Owner, fence: u64) -> bool {
        self.owner == owner && self.fence == fence
    }

    pub(super) fn remembers(&self, owner: Owner) -> bool {
        self.owner == owner || self.ended.contains(owner)
    }

    /// Where either side has none, they match.
    pub(super) fn differs_from(&self, fingerprint: Option<Fingerprint>) -> bool {
        matches!((self.fingerprint, fingerprint), (Some(a), Some(b)) if a != b)
    }
}
