//! The operator's interface to a memory store.

use std::time::{Duration, Instant, SystemTime};

use super::MemoryStore;
use crate::protocol::{Key, Operation, Record, Standing};
use crate::store::IdempotencyAdmin;
use crate::store::admin::{AdminFuture, Entry, Filter, Resolution, Stats};
use crate::task::timer;

impl IdempotencyAdmin for MemoryStore {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        Box::pin(async move {
            let now = self.0.clock.now();
            let (locked, hash) = self.shard(scope, key);
            let shard = locked.lock();
            Ok(shard
                .row(hash, scope, key.as_bytes())
                .map(|(row, slot)| (Entry::new(scope.to_owned(), key.clone(), row, now), slot.record())))
        })
    }

    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        Box::pin(async move {
            let mut entries = Vec::new();
            self.visit(&filter, &mut |entry| entries.push(entry)).await?;
            entries.sort_by(|a, b| (&a.scope, a.key.as_bytes()).cmp(&(&b.scope, b.key.as_bytes())));
            entries.truncate(filter.limit);
            Ok(entries)
        })
    }

    /// Shows the keys in any order, one shard after the other. It has the matching entries of one shard in memory,
    /// about a 64th of all.
    fn visit<'a>(&'a self, filter: &'a Filter, see: &'a mut (dyn FnMut(Entry) + Send)) -> AdminFuture<'a, ()> {
        Box::pin(async move {
            let now = self.0.clock.now();
            for locked in &self.0.shards {
                // `see` may call the store, so the lock is released before: this statement holds it.
                let matching = locked.lock().matching(filter, now);
                matching.into_iter().for_each(&mut *see);
            }
            Ok(())
        })
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        Box::pin(async move {
            let (locked, hash) = self.shard(scope, key);
            let mut shard = locked.lock();
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
            locked.announce();
            Ok(standing)
        })
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        Box::pin(async move { Ok(self.apply(scope, key, Operation::Forget)?.into_standing()) })
    }

    fn stats(&self) -> AdminFuture<'_, Stats> {
        Box::pin(async move {
            let mut stats = Stats::default();
            let asked = SystemTime::now();
            let now = self.0.clock.now();
            stats.compare_clock(now, asked);
            for locked in &self.0.shards {
                locked.lock().iter().for_each(|(_, _, row)| stats.count(&row, now));
            }
            Ok(stats)
        })
    }

    /// Looks at a few rows of each shard in turn. After a fifth of a millisecond it pauses for four times as long as it
    /// worked, so that other operations proceed. A million rows take a few seconds.
    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize> {
        const LOOKS: usize = 16;
        const TURN: Duration = Duration::from_micros(200);
        const PAUSE: u32 = 4;
        Box::pin(async move {
            let now = self.0.clock.now();
            let mut left: Vec<_> = self.0.shards.iter().map(|locked| locked.lock().slots()).collect();
            let (mut deleted, mut begun) = (0, Instant::now());
            while deleted < at_most && left.iter().any(|left| *left > 0) {
                for (locked, left) in self.0.shards.iter().zip(&mut left) {
                    let looks = LOOKS.min(*left);
                    *left -= looks;
                    deleted += locked.lock().sweep(&self.0.hasher, looks, at_most - deleted, now);
                    if begun.elapsed() >= TURN {
                        timer::rest(begun.elapsed() * PAUSE).await;
                        begun = Instant::now();
                    }
                }
            }
            Ok(deleted)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::protocol::{ClaimAnswer, ClaimRequest, CompleteRequest, Owner};
    use crate::store::IdempotencyStore as _;

    /// However many rows are due, a poll of the sweep returns soon, and the sweep then pauses.
    #[tokio::test]
    async fn a_sweep_is_many_short_turns() {
        const ROWS: usize = 10_000;
        let store = MemoryStore::new();
        for number in 0..ROWS {
            let key = Key::from_bytes(number.to_string().as_bytes()).unwrap();
            let claim = ClaimRequest::new("s", &key, Owner::random(), Duration::ZERO);
            let ClaimAnswer::Acquired(grant) = store.claim(claim).await.unwrap() else { panic!("the key is new") };
            let record = Record::from_bytes(b"r");
            let mut complete = CompleteRequest::new(&claim, grant.fence, &record, Duration::ZERO);
            complete.linger = Duration::from_secs(1);
            store.complete(complete).await.unwrap();
        }
        // Their ttl is as long as writing them all takes, because a new key deletes rows that are due.
        std::thread::sleep(Duration::from_millis(1_100));
        let mut sweep = store.sweep(usize::MAX);
        let mut turns = 0;
        let swept = poll_fn(|cx| {
            turns += 1;
            sweep.as_mut().poll(cx)
        });
        swept.await.unwrap();
        assert_eq!(store.stats().await.unwrap().completed, 0);
        assert!(turns > 5, "{turns} turns");
    }
}
