//! The operator's interface to a PostgreSQL store.

use std::time::{Duration, SystemTime};

use sqlx::Row as _;

use super::params::Param;
use super::{Postgres, PostgresStore, rows, statements};
use crate::protocol::State;
use crate::store::admin::{AdminFuture, Entry, Filter, Resolution, Start, Stats};
use crate::store::numbers::{integer, interval};
use crate::store::sql::{Failure, sweep_all};
use crate::store::{IdempotencyAdmin, Key, Record, Standing};

/// How long a row is kept at least after an operator resolved it, so that a late copy of a request still finds it.
const LINGER: Duration = Duration::from_secs(60);

impl IdempotencyAdmin for PostgresStore {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        Box::pin(async move { self.entry(scope, key).await.map_err(Failure::into_error::<Postgres>) })
    }

    /// Reads as many rows as the page has. If the filter names a state or orphans, and these are few, it may read the
    /// whole table once: half a second for a million rows.
    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        Box::pin(async move { self.entries(&filter).await.map_err(Failure::into_error::<Postgres>) })
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        Box::pin(async move {
            let (record, ttl) = match &resolution {
                Resolution::Executed { record, ttl } => (Some(record.as_bytes()), *ttl),
                Resolution::NotExecuted => (None, Duration::ZERO),
            };
            self.settle(scope, key, record, ttl, false).await
        })
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        Box::pin(self.settle(scope, key, None, Duration::ZERO, true))
    }

    fn stats(&self) -> AdminFuture<'_, Stats> {
        Box::pin(async move { self.counts().await.map_err(Failure::into_error::<Postgres>) })
    }

    /// Deletes in statements of at most [`PostgresOptions::sweep_batch`](super::PostgresOptions::sweep_batch) rows.
    /// After each it pauses for four times as long as the statement took.
    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize> {
        Box::pin(sweep_all(&*self.0, at_most))
    }
}

impl PostgresStore {
    async fn entry(&self, scope: &str, key: &Key) -> Result<Option<(Entry, Option<Record>)>, Failure> {
        let params = [Param::Text(scope), Param::Bytes(Some(key.as_bytes()))];
        let found = self.0.session.fetch(&self.0.statements.get, &params).await?;
        let Some(columns) = found.first() else { return Ok(None) };
        let (row, now) = rows::read(columns, 0, scope, key)?;
        Ok(Some((Entry::new(scope.to_owned(), key.clone(), row, now), rows::record(columns, 0)?)))
    }

    async fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, Failure> {
        let mut filters = String::new();
        let mut params = Vec::new();
        let mut place = |param| {
            params.push(param);
            format!("${}", params.len())
        };
        if let Some(scope) = &filter.scope {
            filters += &format!(" AND scope = {}", place(Param::Text(scope)));
        }
        if let Some(state) = filter.state {
            filters += &format!(" AND state = {}", place(Param::Integer(Some((state as u8).into()))));
        }
        if filter.orphans {
            filters += &statements::only_orphans();
        }
        if filter.orphans || filter.state.is_some_and(|state| !matches!(state, State::Free | State::Done)) {
            filters += statements::NEITHER_FREE_NOR_DONE;
        }
        match filter.start() {
            Start::First => {}
            Start::After(scope, key) => {
                let (scope, key) = (place(Param::Text(scope)), place(Param::Bytes(Some(key.as_bytes()))));
                filters += &format!(" AND (scope, key) > ({scope} COLLATE \"C\", {key})");
            }
            // Without `(scope, key)`, because PostgreSQL uses no index for the pair beside `scope = $n`.
            Start::AfterInScope(key) => filters += &format!(" AND key > {}", place(Param::Bytes(Some(key.as_bytes())))),
            Start::Nowhere => return Ok(Vec::new()),
        }
        let limit = place(Param::Integer(Some(integer(filter.limit as u64))));
        let list = self.0.statements.list(&filters, &limit);
        let found = if filter.state.is_some() || filter.orphans {
            self.0.session.scan(&list, &params).await?
        } else {
            self.0.session.fetch(&list, &params).await?
        };
        let read = |columns| {
            let (scope, key) = rows::place(columns)?;
            let key = Key::from_bytes(&key).ok_or(Failure::Unexpected("the table has a row whose key can't be one"))?;
            let (row, now) = rows::read(columns, 0, &scope, &key)?;
            Ok(Entry::new(scope, key, row, now))
        };
        found.iter().map(read).collect()
    }

    async fn settle(
        &self,
        scope: &str,
        key: &Key,
        record: Option<&[u8]>,
        ttl: Duration,
        whatever_the_state: bool,
    ) -> Result<Standing, crate::store::StoreError> {
        let params = [
            Param::Text(scope),
            Param::Bytes(Some(key.as_bytes())),
            Param::Bytes(record),
            Param::Integer(Some(interval(ttl))),
            Param::Flag(whatever_the_state),
            Param::Integer(Some(interval(LINGER))),
        ];
        let standing = self.standing(scope, key, &self.0.statements.resolve, &params).await?;
        Ok(self.or_gone(standing, scope, key).await)
    }

    async fn counts(&self) -> Result<Stats, Failure> {
        let mut stats = Stats::default();
        let asked = SystemTime::now();
        let time = self.0.session.fetch(&self.0.statements.time, &[]).await?;
        let Some(time) = time.first() else { return Err(Failure::Unexpected("the time has no row")) };
        stats.compare_clock(time.try_get::<i64, _>(0)?.unsigned_abs(), asked);
        let found = self.0.session.scan(&self.0.statements.stats, &[]).await?;
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
