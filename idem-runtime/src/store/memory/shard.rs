//! One shard of the keys: a hash table of indices into slots.

use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::clock::Clock;
use super::hash;
use super::slot::Slot;
use crate::error::StoreError;
use crate::protocol::{self, ClaimAnswer, ClaimRequest, Completed, Key, Micros, Operation, Reply, Row, State};
use crate::store::admin::{Entry, Filter};

/// The name of the store in its errors.
const STORE: &str = "the memory store";

/// Slots are allocated this many at a time. A vector that doubles would leave up to half of itself unused.
const CHUNK: usize = 32;

/// How many rows each new key looks at, to delete them if they have expired. It is more than one so that expired rows
/// are deleted faster than new ones are added.
const LOOKS: usize = 2;

#[derive(Default)]
pub(super) struct Shard {
    table: HashTable<u32>,
    chunks: Vec<Vec<Slot>>,
    vacant: Vec<u32>,
    /// A slot has its scope's index in this list. A scope is never removed: there are only as many as handlers.
    scopes: Vec<Arc<str>>,
    /// The slot at which the sweep goes on.
    hand: usize,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    fn slot(&self, index: u32) -> &Slot {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    fn slot_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }

    fn find(&self, hash: u64, scope: &str, key: &[u8]) -> Option<u32> {
        let is_it = |index: &u32| {
            let slot = self.slot(*index);
            slot.key() == key && &*self.scopes[usize::from(slot.scope)] == scope
        };
        self.table.find(hash, is_it).copied()
    }

    pub(super) fn row(&self, hash: u64, scope: &str, key: &[u8]) -> Option<(Row, &Slot)> {
        let slot = self.slot(self.find(hash, scope, key)?);
        Some((slot.row()?, slot))
    }

    /// Whether the key has a live lease, so that waiting for it makes sense.
    pub(super) fn is_held(&self, hash: u64, scope: &str, key: &[u8], now: Micros) -> bool {
        self.row(hash, scope, key)
            .is_some_and(|(row, _)| matches!(row.state, State::Running | State::Kept) && row.until > now)
    }

    /// The record that a claim would be answered with. The clock is read only if the key is completed.
    pub(super) fn completed(&self, hash: u64, request: &ClaimRequest<'_>, clock: &Clock) -> Option<Completed> {
        let slot = self.slot(self.find(hash, request.scope, request.key.as_bytes())?);
        if !slot.is_done() {
            return None;
        }
        slot.replayed_to(request.fingerprint, clock.now())
    }

    pub(super) fn claim(
        &mut self,
        hasher: &DefaultHashBuilder,
        hash: u64,
        request: &ClaimRequest<'_>,
        now: Micros,
    ) -> Result<ClaimAnswer, StoreError> {
        let (scope, key) = (request.scope, request.key.as_bytes());
        let Some(index) = self.find(hash, scope, key) else {
            let next = protocol::step(None, Operation::Claim(request), now);
            if let Some(row) = &next.row {
                self.insert(hasher, hash, scope, key, row, now)?;
            }
            return Ok(next.reply.into_claim(|| None));
        };
        let slot = self.slot_mut(index);
        let next = protocol::step(slot.row().as_ref(), Operation::Claim(request), now);
        if let Some(row) = &next.row {
            slot.set_row(row);
            slot.set_record(None);
        }
        Ok(next.reply.into_claim(|| slot.record()))
    }

    /// Carries out any other operation. Returns its reply, and whether waiters of the key have to look again.
    pub(super) fn apply(
        &mut self,
        hasher: &DefaultHashBuilder,
        hash: u64,
        scope: &str,
        key: &[u8],
        operation: Operation<'_>,
        now: Micros,
    ) -> Result<(Reply, bool), StoreError> {
        let found = self.find(hash, scope, key);
        let row = found.and_then(|index| self.slot(index).row());
        let next = protocol::step(row.as_ref(), operation, now);
        let Some(row) = &next.row else { return Ok((next.reply, false)) };
        match found {
            None => self.insert(hasher, hash, scope, key, row, now)?,
            Some(index) => {
                let slot = self.slot_mut(index);
                slot.set_row(row);
                match operation {
                    Operation::Complete(request) => slot.set_record(Some(request.record)),
                    _ if row.state != State::Done => slot.set_record(None),
                    _ => {}
                }
            }
        }
        Ok((next.reply, row.state != State::Running))
    }

    pub(super) fn set_record(&mut self, hash: u64, scope: &str, key: &[u8], record: &crate::protocol::Record) {
        if let Some(index) = self.find(hash, scope, key) {
            self.slot_mut(index).set_record(Some(record));
        }
    }

    fn insert(
        &mut self,
        hasher: &DefaultHashBuilder,
        hash: u64,
        scope: &str,
        key: &[u8],
        row: &Row,
        now: Micros,
    ) -> Result<(), StoreError> {
        self.sweep(hasher, LOOKS, usize::MAX, now);
        let scope = self.scope(scope)?;
        let slot = Slot::new(scope, key, row);
        let index = match self.vacant.pop() {
            Some(index) => {
                *self.slot_mut(index) = slot;
                index
            }
            None => self.push(slot),
        };
        let Self { table, chunks, scopes, .. } = self;
        table.insert_unique(hash, index, |&index| {
            let slot = &chunks[index as usize / CHUNK][index as usize % CHUNK];
            super::hash(hasher, &scopes[usize::from(slot.scope)], slot.key())
        });
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "four billion keys in one of 64 shards don't fit in memory")]
    fn push(&mut self, slot: Slot) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let last = self.chunks.len() - 1;
        self.chunks[last].push(slot);
        (last * CHUNK + self.chunks[last].len() - 1) as u32
    }

    fn scope(&mut self, scope: &str) -> Result<u16, StoreError> {
        if let Some(known) = self.scopes.iter().position(|known| &**known == scope) {
            return u16::try_from(known).map_err(|error| StoreError::refused(STORE, error).in_own_words());
        }
        let new = u16::try_from(self.scopes.len()).map_err(|_| {
            let full = "there are more than 65,536 scopes: put what varies into the key, not the scope";
            StoreError::refused(STORE, full).in_own_words()
        })?;
        self.scopes.push(scope.into());
        Ok(new)
    }

    /// Looks at the next `looks` rows, and deletes those that are no longer needed, at most `at_most`. Returns how many
    /// it deleted.
    pub(super) fn sweep(&mut self, hasher: &DefaultHashBuilder, looks: usize, at_most: usize, now: Micros) -> usize {
        let mut deleted = 0;
        for _ in 0..looks {
            if deleted == at_most {
                break;
            }
            let slots = self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len());
            if slots == 0 {
                break;
            }
            self.hand = (self.hand + 1) % slots;
            #[expect(clippy::cast_possible_truncation, reason = "an index of a slot")]
            let index = self.hand as u32;
            if self.slot(index).is_sweepable(now) {
                self.delete(hasher, index);
                deleted += 1;
            }
        }
        deleted
    }

    fn delete(&mut self, hasher: &DefaultHashBuilder, index: u32) {
        let slot = self.slot(index);
        let hash = hash(hasher, &self.scopes[usize::from(slot.scope)], slot.key());
        if let Ok(entry) = self.table.find_entry(hash, |&candidate| candidate == index) {
            entry.remove();
        }
        self.slot_mut(index).clear();
        self.vacant.push(index);
    }

    /// Every row, with its scope.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Slot, Row)> {
        self.chunks
            .iter()
            .flatten()
            .filter_map(|slot| Some((&*self.scopes[usize::from(slot.scope)], slot, slot.row()?)))
    }

    /// The entries that match a filter, in any order.
    pub(super) fn matching(&self, filter: &Filter, now: Micros) -> Vec<Entry> {
        let entry = |(scope, slot, row): (&str, &Slot, Row)| {
            let entry = Entry::new(scope.to_owned(), Key::from_bytes(slot.key())?, row, now);
            filter.accepts(&entry).then_some(entry)
        };
        self.iter().filter_map(entry).collect()
    }

    /// How many slots a sweep of the whole shard looks at.
    pub(super) fn slots(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }
}
