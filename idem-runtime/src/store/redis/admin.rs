//! The operator's interface to a Redis store.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Cmd, Value};

use super::failure::Failure;
use super::scan::{self, Shown};
use super::script::SETTLE;
use super::{Place, RedisStore, Shared, rows};
use crate::protocol::{Operation, State, linger, micros};
use crate::store::admin::{AdminFuture, Entry, Filter, Resolution, Stats};
use crate::store::{IdempotencyAdmin, Key, Record, Standing, StoreError};

impl IdempotencyAdmin for RedisStore {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        Box::pin(async move {
            let name = self.0.name(scope, key);
            let mut pipeline = redis::pipe();
            // Not a script, because an operator with only the right to read may run none.
            pipeline.cmd("TIME").cmd("GET").arg(&name).ignore_errors();
            let answers = self.0.links.operators.send_group(&name, &pipeline).await.map_err(Failure::Redis)?;
            let [time, row] = <[Value; 2]>::try_from(answers).map_err(|_| Failure::Answer)?;
            let now = scan::micros(&time).ok_or(Failure::Answer)?;
            let bytes = match row.extract_error().map_err(|error| Failure::Redis(error).of(scope, key))? {
                Value::Nil => return Ok(None),
                Value::BulkString(bytes) => bytes,
                _ => return Err(Failure::Answer.into()),
            };
            let (row, record) = rows::row(&bytes).map_err(|field| Failure::corrupt(scope, key, field.0))?;
            let record = (row.state == State::Done).then(|| Record::from_bytes(record));
            Ok(Some((Entry::new(scope.to_owned(), key.clone(), row, now), record)))
        })
    }

    /// Walks all keys of the server (`SCAN`), a hundred a round trip, and reads those that can be on the page. Redis
    /// has no order of keys, so each page costs a whole pass. To see all keys, use [`visit`](IdempotencyAdmin::visit),
    /// which makes one pass. A key that is written meanwhile may be listed or not.
    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        Box::pin(async move {
            let mut page = BTreeMap::new();
            let after = filter.after.as_ref().map(|(scope, key)| (scope.as_str(), key.as_bytes()));
            let mut scan = self.0.scan(filter.scope.as_deref()).await?;
            while let Some(mut found) = scan.next().await? {
                found.retain(|(scope, key)| {
                    let place = (scope.as_str(), key.as_bytes());
                    after.is_none_or(|after| place > after) && can_be_on(&page, filter.limit, place)
                });
                for entry in scan.read(found).await? {
                    if filter.accepts(&entry) {
                        page.insert((entry.scope.clone(), entry.key.as_bytes().to_vec()), entry);
                    }
                    if page.len() > filter.limit {
                        page.pop_last();
                    }
                }
            }
            Ok(page.into_values().collect())
        })
    }

    /// Makes one pass through all keys of the server (`SCAN`), a hundred a round trip, with one more round trip to read
    /// the rows that were found.
    ///
    /// The server can return a key twice while keys expire. Such a key is shown once, unless half a million others were
    /// shown in between.
    fn visit<'a>(&'a self, filter: &'a Filter, see: &'a mut (dyn FnMut(Entry) + Send)) -> AdminFuture<'a, ()> {
        Box::pin(async move {
            let mut shown = Shown::default();
            let mut scan = self.0.scan(filter.scope.as_deref()).await?;
            while let Some(mut found) = scan.next().await? {
                found.retain(|(scope, key)| shown.is_new(scope, key));
                scan.read(found).await?.into_iter().filter(|entry| filter.accepts(entry)).for_each(&mut *see);
            }
            Ok(())
        })
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        Box::pin(async move {
            match resolution {
                Resolution::Executed { record, ttl } => {
                    let operation = Operation::ResolveExecuted { ttl };
                    self.0.settle(scope, key, "executed", operation, Some((&record, ttl))).await
                }
                Resolution::NotExecuted => {
                    self.0.settle(scope, key, "unrun", Operation::ResolveNotExecuted, None).await
                }
            }
        })
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        Box::pin(self.0.settle(scope, key, "forget", Operation::Forget, None))
    }

    /// Reads all keys of the server, as [`visit`](IdempotencyAdmin::visit) does.
    fn stats(&self) -> AdminFuture<'_, Stats> {
        Box::pin(async {
            let mut stats = Stats::default();
            self.0.compare_clocks(&mut stats).await?;
            self.visit(&Filter::all(), &mut |entry| stats.count(&entry.row, entry.now)).await?;
            Ok(stats)
        })
    }

    /// Does nothing, and sends no request: Redis deletes each row when it is no longer needed.
    fn sweep(&self, _at_most: usize) -> AdminFuture<'_, usize> {
        Box::pin(async { Ok(0) })
    }
}

/// Whether an entry at this place can be on a page with these entries.
fn can_be_on(page: &BTreeMap<(String, Vec<u8>), Entry>, limit: usize, place: (&str, &[u8])) -> bool {
    page.len() < limit || page.keys().next_back().is_some_and(|(scope, key)| place < (scope.as_str(), key.as_slice()))
}

impl Shared {
    async fn settle(
        &self,
        scope: &str,
        key: &Key,
        how: &str,
        operation: Operation<'_>,
        executed: Option<(&Record, Duration)>,
    ) -> Result<Standing, StoreError> {
        let name = self.name(scope, key);
        let place = Place { scope, key };
        let channel = self.channel(&name);
        let arguments = |command: &mut Cmd| {
            command.arg(how).arg(&channel).arg(micros(linger(Duration::ZERO)));
            if let Some((record, ttl)) = executed {
                command.arg(record.as_bytes()).arg(micros(ttl));
            }
        };
        let (answer, missing) = self.run_confirmed(&self.links.operators, place, SETTLE.call(&name, arguments)).await?;
        Self::standing(place, operation, (&answer, missing))
    }
}
