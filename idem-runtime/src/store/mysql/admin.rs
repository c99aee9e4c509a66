//! The operator's interface to a MySQL store.

use std::time::SystemTime;

use sqlx::Row as _;

use super::dialect::MySql;
use super::statements::{self, Word};
use super::{MySqlStore, rows};
use crate::store::admin::{AdminFuture, Entry, Filter, Resolution, Stats};
use crate::store::sql::{Failure, sweep_all};
use crate::store::{IdempotencyAdmin, Key, Record, Standing, StoreError};

impl IdempotencyAdmin for MySqlStore {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        Box::pin(async move { self.entry(scope, key).await.map_err(Failure::into_error::<MySql>) })
    }

    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        Box::pin(async move { self.entries(&filter).await.map_err(Failure::into_error::<MySql>) })
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        Box::pin(async move {
            let word = match &resolution {
                Resolution::Executed { record, ttl } => Word::Executed(record.as_bytes(), *ttl),
                Resolution::NotExecuted => Word::NotExecuted,
            };
            self.settle(scope, key, &word).await
        })
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        Box::pin(self.settle(scope, key, &Word::Forget))
    }

    fn stats(&self) -> AdminFuture<'_, Stats> {
        Box::pin(async move { self.counts().await.map_err(Failure::into_error::<MySql>) })
    }

    /// Deletes in transactions of at most [`MySqlOptions::sweep_batch`](super::MySqlOptions::sweep_batch) rows. After
    /// each it pauses for four times as long as the transaction took.
    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize> {
        Box::pin(sweep_all(&*self.0, at_most))
    }
}

impl MySqlStore {
    async fn entry(&self, scope: &str, key: &Key) -> Result<Option<(Entry, Option<Record>)>, Failure> {
        let mut script = self.0.session.single();
        statements::read(&mut script, &[(scope.as_bytes(), key.as_bytes())])?;
        let found = self.0.session.fetch(script).await?;
        let Some(columns) = found.first() else { return Ok(None) };
        let row = rows::read(columns, scope, key)?;
        let entry = Entry::new(scope.to_owned(), key.clone(), row, rows::now(columns)?);
        Ok(Some((entry, rows::record(columns)?)))
    }

    async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, Failure> {
        let mut script = self.0.session.single();
        statements::list(&mut script, filter)?;
        let found = self.0.session.fetch(script).await?;
        let read = |columns| {
            let (scope, key) = rows::place(columns)?;
            let scope = str::from_utf8(scope);
            let scope = scope.map_err(|_| Failure::Unexpected("the table has a row whose scope isn't UTF-8"))?;
            let key = Key::from_bytes(key).ok_or(Failure::Unexpected("the table has a row whose key can't be one"))?;
            let row = rows::read(columns, scope, &key)?;
            Ok(Entry::new(scope.to_owned(), key, row, rows::now(columns)?))
        };
        found.iter().map(read).collect()
    }

    async fn settle(&self, scope: &str, key: &Key, word: &Word<'_>) -> Result<Standing, StoreError> {
        let standing = self.change(scope, |script| statements::resolve(script, scope, key, word)).await?;
        self.0.notifiers.notify(scope, key);
        Ok(self.or_gone(standing, scope, key).await)
    }

    async fn counts(&self) -> Result<Stats, Failure> {
        let mut stats = Stats::default();
        let mut script = self.0.session.single();
        statements::time(&mut script)?;
        let asked = SystemTime::now();
        let time = self.0.session.fetch(script).await?;
        let Some(time) = time.first() else { return Err(Failure::Unexpected("the time has no row")) };
        stats.compare_clock(rows::now(time)?, asked);
        let mut script = self.0.session.single();
        statements::count(&mut script)?;
        let found = self.0.session.fetch(script).await?;
        let Some(counts) = found.first() else { return Err(Failure::Unexpected("the statistics have no row")) };
        let count = |nth: usize| counts.try_get::<i64, _>(nth).map(i64::unsigned_abs);
        Ok(Stats {
            running: count(0)?,
            orphaned: count(1)?,
            free: count(2)?,
            completed: count(3)?,
            sweepable: count(4)?,
            ..stats
        })
    }
}
