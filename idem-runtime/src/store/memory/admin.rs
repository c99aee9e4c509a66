//! What an operator can do with a memory store.

use super::MemoryStore;
use crate::admin::{AdminFuture, Entry, Filter, IdempotencyAdmin, Resolution, Stats};
use crate::claim::{Key, Record, Standing};
use crate::protocol::Operation;

impl IdempotencyAdmin for MemoryStore {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let (lane, hash) = self.lane(scope, key);
            let shard = lane.lock();
            Ok(shard
                .row(hash, scope, key.as_bytes())
                .map(|(row, slot)| (Entry::new(scope.to_owned(), key.clone(), row, now), slot.record())))
        })
    }

    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let mut entries = Vec::new();
            for lane in &self.0.shards {
                let shard = lane.lock();
                for (scope, slot, row) in shard.iter() {
                    let entry = Key::from_bytes(slot.key()).map(|key| Entry::new(scope.to_owned(), key, row, now));
                    entries.extend(entry.filter(|entry| filter.accepts(entry)));
                }
            }
            entries.sort_by(|a, b| (&a.scope, a.key.as_bytes()).cmp(&(&b.scope, b.key.as_bytes())));
            entries.truncate(filter.limit);
            Ok(entries)
        })
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        Box::pin(async move {
            let (lane, hash) = self.lane(scope, key);
            let mut shard = lane.lock();
            let (operation, record) = match resolution {
                Resolution::Executed { record, ttl } => (Operation::ResolveExecuted { ttl }, Some(record)),
                Resolution::NotExecuted => (Operation::ResolveNotExecuted, None),
            };
            let now = self.0.clock.now();
            let (reply, _) = shard.apply(&self.0.hasher, hash, scope, key.as_bytes(), operation, now)?;
            let standing = reply.into_standing();
            if let (Standing::Held, Some(record)) = (standing, record) {
                shard.set_record(hash, scope, key.as_bytes(), &record);
            }
            drop(shard);
            lane.announce();
            Ok(standing)
        })
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        Box::pin(async move { Ok(self.apply(scope, key, Operation::Forget)?.into_standing()) })
    }

    fn stats(&self) -> AdminFuture<'_, Stats> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let mut stats = Stats::default();
            for lane in &self.0.shards {
                lane.lock().iter().for_each(|(_, _, row)| stats.count(&row, now));
            }
            Ok(stats)
        })
    }

    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let mut deleted = 0;
            for lane in &self.0.shards {
                let mut shard = lane.lock();
                let slots = shard.slots();
                deleted += shard.sweep(&self.0.hasher, slots, at_most - deleted, now);
            }
            Ok(deleted)
        })
    }
}
