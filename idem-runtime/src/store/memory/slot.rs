//! A packed row of 152 bytes. A short key and a short record are stored in it.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{Completed, Ended, Fingerprint, Micros, Owner, Previous, Record, Row, State};

/// How many bytes of key and record a slot holds itself.
const IN_PLACE: usize = 93;

/// The time that stands for "never".
const NEVER: Micros = Micros::MAX;

/// A row with its key and its record.
pub(super) struct Slot {
    owner: Owner,
    fence: u64,
    until: Micros,
    purge_at: Micros,
    /// Fields that most rows don't have.
    more: Option<Box<More>>,
    attempt: u32,
    /// The index of its scope in the shard's list.
    pub(super) scope: u16,
    /// `None` if the slot is vacant.
    state: Option<State>,
    failed_before: bool,
    data: Data,
}

struct More {
    doubt: Option<u64>,
    crashed_before: Option<u64>,
    fingerprint: Option<Fingerprint>,
    ended: Ended,
}

const NOTHING_MORE: More =
    More { doubt: None, crashed_before: None, fingerprint: None, ended: Ended::from_slots([None; Ended::SLOTS]) };

enum Data {
    InPlace { key: u8, record: u8, bytes: [u8; IN_PLACE] },
    OnHeap { key: Box<[u8]>, record: Option<Arc<[u8]>> },
}

impl Slot {
    pub(super) fn new(scope: u16, key: &[u8], row: &Row) -> Self {
        let data = if key.len() <= IN_PLACE {
            let mut bytes = [0; IN_PLACE];
            bytes[..key.len()].copy_from_slice(key);
            Data::InPlace { key: byte(key.len()), record: 0, bytes }
        } else {
            Data::OnHeap { key: key.into(), record: None }
        };
        let mut slot = Self {
            owner: row.owner,
            fence: 0,
            until: 0,
            purge_at: NEVER,
            more: None,
            attempt: 0,
            scope,
            state: None,
            failed_before: false,
            data,
        };
        slot.set_row(row);
        slot
    }

    /// Makes the slot vacant and erases its key and record.
    pub(super) fn clear(&mut self) {
        self.state = None;
        self.more = None;
        self.data = Data::InPlace { key: 0, record: 0, bytes: [0; IN_PLACE] };
    }

    pub(super) fn row(&self) -> Option<Row> {
        let more = self.more.as_deref().unwrap_or(&NOTHING_MORE);
        Some(Row {
            state: self.state?,
            owner: self.owner,
            fence: self.fence,
            until: self.until,
            doubt: more.doubt,
            previous: match more.crashed_before {
                Some(fence) => Previous::AfterCrash { fence },
                None if self.failed_before => Previous::AfterFailure,
                None => Previous::First,
            },
            attempt: self.attempt,
            fingerprint: more.fingerprint,
            ended: more.ended,
            purge_at: (self.purge_at != NEVER).then_some(self.purge_at),
        })
    }

    pub(super) fn is_done(&self) -> bool {
        self.state == Some(State::Done)
    }

    /// What a claim with this fingerprint would be answered, if this row is [done](Self::is_done) and that answer is its
    /// record. It unpacks no row.
    pub(super) fn replayed_to(&self, fingerprint: Option<Fingerprint>, now: Micros) -> Option<Completed> {
        let remaining = self.until.checked_sub(now).filter(|left| *left > 0)?;
        let own = self.more.as_ref().and_then(|more| more.fingerprint);
        if matches!((own, fingerprint), (Some(own), Some(asked)) if own != asked) {
            return None;
        }
        Some(Completed::new(self.record()?, Duration::from_micros(remaining), self.fence, own))
    }

    /// Whether a sweep may delete this row: [`Row::is_sweepable`]. Checks `purge_at` first, so that few rows are
    /// unpacked.
    pub(super) fn is_sweepable(&self, now: Micros) -> bool {
        self.purge_at <= now && self.row().is_some_and(|row| row.is_sweepable(now))
    }

    pub(super) fn set_row(&mut self, row: &Row) {
        let Row { state, owner, fence, until, doubt, previous, attempt, fingerprint, ended, purge_at } = *row;
        self.state = Some(state);
        self.owner = owner;
        self.fence = fence;
        self.until = until;
        self.attempt = attempt;
        self.purge_at = purge_at.unwrap_or(NEVER);
        self.failed_before = previous == Previous::AfterFailure;
        let crashed_before = match previous {
            Previous::AfterCrash { fence } => Some(fence),
            Previous::First | Previous::AfterFailure => None,
        };
        if doubt.is_none() && crashed_before.is_none() && fingerprint.is_none() && ended.is_empty() {
            self.more = None;
            return;
        }
        let more = More { doubt, crashed_before, fingerprint, ended };
        match &mut self.more {
            Some(place) => **place = more,
            place => *place = Some(Box::new(more)),
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        match &self.data {
            Data::InPlace { key, bytes, .. } => &bytes[..usize::from(*key)],
            Data::OnHeap { key, .. } => key,
        }
    }

    pub(super) fn record(&self) -> Option<Record> {
        match &self.data {
            Data::InPlace { record: 0, .. } => None,
            Data::InPlace { key, record, bytes } => {
                Some(Record::from_bytes(&bytes[usize::from(*key)..][..usize::from(*record)]))
            }
            Data::OnHeap { record, .. } => record.clone().map(Record::from),
        }
    }

    pub(super) fn set_record(&mut self, record: Option<&Record>) {
        let bytes = record.map(Record::as_bytes);
        match &mut self.data {
            Data::InPlace { key, record, bytes: place } => {
                let new = bytes.unwrap_or_default();
                let at = usize::from(*key);
                // Erases the old record's bytes.
                place[at..].fill(0);
                if at + new.len() <= IN_PLACE {
                    place[at..at + new.len()].copy_from_slice(new);
                    *record = byte(new.len());
                } else {
                    self.data = Data::OnHeap { key: self.key().into(), record: Some(new.into()) };
                }
            }
            Data::OnHeap { record, .. } => *record = bytes.map(Into::into),
        }
    }
}

/// The length of something that fits into a slot.
#[expect(clippy::cast_possible_truncation, reason = "at most IN_PLACE")]
fn byte(len: usize) -> u8 {
    len as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_stays_small() {
        assert_eq!(size_of::<Slot>(), 152);
    }
}
