//! The row of a key.

use super::values::{Fingerprint, Micros, Owner, Previous};

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Claimed. It is an orphan once its lease is over.
    Running = 1,
    /// The holder left while its body ran. The key is an orphan.
    Unknown = 2,
    /// The handler failed and may have had an effect. The key is held until its lease is over, and is an orphan then.
    Kept = 3,
    /// Nobody holds the key, and no outcome is unknown.
    Free = 4,
    /// Completed. Once its ttl is over, the row counts as absent.
    Done = 5,
}

impl State {
    /// The state with this number, as `state as u8` gives it.
    pub fn from_u8(number: u8) -> Option<Self> {
        [Self::Running, Self::Unknown, Self::Kept, Self::Free, Self::Done].into_iter().find(|s| *s as u8 == number)
    }
}

/// The owners that left a key last. By them a store tells a late copy of a claim from a new claim.
///
/// There are four, because with three, a copy that arrives after three other calls have come and gone would claim the
/// key for a caller that has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ended([Option<Owner>; 4]);

impl Ended {
    /// How many owners are remembered.
    pub const SLOTS: usize = 4;

    #[cfg(feature = "memory")]
    pub(crate) const fn from_slots(slots: [Option<Owner>; Self::SLOTS]) -> Self {
        Self(slots)
    }

    /// The owners, newest first.
    pub fn iter(&self) -> impl Iterator<Item = Owner> + '_ {
        self.0.iter().copied().flatten()
    }

    /// Made from owners, newest first. It keeps the first four.
    pub fn from_owners(owners: impl IntoIterator<Item = Owner>) -> Self {
        let mut ended = Self::default();
        for (slot, owner) in ended.0.iter_mut().zip(owners) {
            *slot = Some(owner);
        }
        ended
    }

    /// Whether no owner is remembered.
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

/// What a store keeps for a key, beside its scope, the key itself, and the record of a [`State::Done`] row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where the key is in its life.
    pub state: State,
    /// The owner that claimed the key last. It stays after the call has ended.
    pub owner: Owner,
    /// The fence that was granted last. It only ever grows.
    pub fence: u64,
    /// When the lease ends (`Running`, `Kept`), or the ttl (`Done`). It has no meaning in `Unknown` and `Free`.
    pub until: Micros,
    /// The fence of the last holder whose outcome is unknown.
    ///
    /// - `Unknown`: the holder to ask about.
    /// - `Running`, `Kept`: the holder that the current one took over from, if it did.
    /// - `Done`: the holder whose outcome an operator resolved. So it marks the record as a
    ///   [resolution](Row::is_resolution): a record of a handler has no `doubt`.
    pub doubt: Option<u64>,
    /// What the last claim was told about the holder before it. In `Free`, what the next claim is told.
    pub previous: Previous,
    /// How many times the handler was started for this key. Not counted: the times that did nothing
    /// ([`Leave::NotRun`](super::Leave::NotRun)).
    pub attempt: u32,
    /// The fingerprint of the last claim.
    pub fingerprint: Option<Fingerprint>,
    /// The owners that left the key last.
    pub ended: Ended,
    /// From when on a sweep may delete the row. `None`: never. It is never earlier than the fence, even where the clock
    /// has stepped back since the fence was granted: if the row were deleted earlier, the next fence could be smaller.
    pub purge_at: Option<Micros>,
}

impl Row {
    /// Whether a sweep may delete this row. It may never delete an orphan where `on_crash` is `"park"` or a function:
    /// without the row, the body would run again.
    pub fn is_sweepable(&self, now: Micros) -> bool {
        let needed = match self.state {
            State::Free | State::Unknown => false,
            State::Done | State::Running | State::Kept => self.until > now,
        };
        // Defence in depth: a row's `purge_at` is behind its `until`.
        !needed && self.purge_at.is_some_and(|at| at <= now)
    }

    /// Whether nobody holds the key and the outcome of its last holder is unknown.
    pub fn is_orphan(&self, now: Micros) -> bool {
        match self.state {
            State::Unknown => true,
            State::Running | State::Kept => self.until <= now,
            State::Free | State::Done => false,
        }
    }

    /// Whether the record is an operator's, which a later resolution may replace. A record whose ttl is over counts as
    /// absent.
    pub fn is_resolution(&self, now: Micros) -> bool {
        self.state == State::Done && self.doubt.is_some() && self.until > now
    }

    /// For an orphan, the fence of the holder whose outcome is unknown. For a resolution, the fence of the holder whose
    /// outcome was unknown.
    pub(super) fn fence_in_doubt(&self) -> u64 {
        match self.state {
            // If the last holder left with `NotRun`, it did nothing, and the holder before it is still in doubt.
            State::Unknown | State::Done => self.doubt.unwrap_or(self.fence),
            State::Running | State::Kept | State::Free => self.fence,
        }
    }

    /// Defence in depth: a fence is granted once, so it would do alone. The owner alone wouldn't: an operator's word leaves it
    /// in the row.
    pub(super) fn is_held_by(&self, owner: Owner, fence: u64) -> bool {
        self.owner == owner && self.fence == fence
    }

    pub(super) fn remembers(&self, owner: Owner) -> bool {
        self.owner == owner || self.ended.contains(owner)
    }

    /// Whether both have a fingerprint and these differ. If one of them has none, they match.
    pub(super) fn differs_from(&self, fingerprint: Option<Fingerprint>) -> bool {
        matches!((self.fingerprint, fingerprint), (Some(a), Some(b)) if a != b)
    }
}
