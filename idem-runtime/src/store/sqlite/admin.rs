//! The operator's interface to a SQLite store.

use std::time::SystemTime;

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::failure::Failure;
use super::file::File;
use super::job::Ask;
use super::order::Order;
use super::pace::Asked;
use super::rows;
use super::{SqliteStore, failure};
use crate::protocol::Micros;
use crate::store::admin::{AdminFuture, Entry, Filter, Resolution, Start, Stats};
use crate::store::{IdempotencyAdmin, Key, Record, Standing, StoreError};

impl IdempotencyAdmin for SqliteStore {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        let (scope, key) = (scope.to_owned(), key.clone());
        Box::pin(self.read(move |file, now| get(file, scope, key, now)))
    }

    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        Box::pin(self.read(move |file, now| list(file, &filter, now)))
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        let ask = match resolution {
            Resolution::Executed { record, ttl } => Ask::ResolveExecuted { record, ttl },
            Resolution::NotExecuted => Ask::ResolveNotExecuted,
        };
        Box::pin(self.standing(scope, key, ask))
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        Box::pin(self.standing(scope, key, Ask::Forget))
    }

    /// Reads the keys in pages. A key that is written meanwhile may be counted or not.
    fn stats(&self) -> AdminFuture<'_, Stats> {
        Box::pin(async {
            let mut stats = Stats::default();
            let asked = SystemTime::now();
            stats.compare_clock(self.read(|_, now| Ok(now)).await?, asked);
            self.visit(&Filter::all(), &mut |entry| stats.count(&entry.row, entry.now)).await?;
            Ok(stats)
        })
    }

    /// Deletes in transactions of at most [`SqliteOptions::sweep_batch`](super::SqliteOptions::sweep_batch) rows and
    /// about half a millisecond, and carries out other requests between them. The sweep takes a fifteenth of the
    /// writer's time if there are other requests, and a third if there are none. It stops if its future is dropped. It
    /// fails if the file's log is over 64 MB and in use ([`SqliteStore`]).
    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize> {
        Box::pin(async move {
            let (answer, swept) = tokio::sync::oneshot::channel();
            let order = Order::Sweep(Asked { at_most, answer });
            self.0.shared.orders.push(order).map_err(|_| Failure::Closed)?;
            Ok(swept.await.unwrap_or(Err(Failure::Closed))?)
        })
    }
}

impl SqliteStore {
    /// Has a reader thread run `question`.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&File, Micros) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = tokio::sync::oneshot::channel();
        let read = Box::new(move |file: &File, now| drop(answer.send(question(file, now))));
        let pushed = self.0.shared.questions.push(super::reader::Question::Read(read));
        pushed.map_err(|_| failure::Failure::Closed)?;
        Ok(answered.await.unwrap_or(Err(Failure::Closed))?)
    }
}

fn get(file: &File, scope: String, key: Key, now: Micros) -> Result<Option<(Entry, Option<Record>)>, Failure> {
    let (row, record) = rows::find(file, &scope, &key, |row| (row.copied(), true))?;
    Ok(row.map(|row| (Entry::new(scope, key, row, now), record)))
}

/// The statement of a page and its parameters. `list` is its beginning. `None` if the page is empty.
fn page(list: &str, filter: &Filter, now: Micros) -> Option<(String, Vec<Value>)> {
    let mut sql = list.to_owned();
    let mut values = Vec::new();
    if let Some(scope) = &filter.scope {
        sql.push_str(" AND scope = ?");
        values.push(Value::Text(scope.clone()));
    }
    if let Some(state) = filter.state {
        sql.push_str(" AND state = ?");
        values.push(Value::Integer((state as u8).into()));
    }
    if filter.orphans {
        // `Row::is_orphan`.
        sql.push_str(" AND (state = 2 OR (state IN (1, 3) AND until <= ?))");
        values.push(Value::Integer(i64::try_from(now).unwrap_or(i64::MAX)));
    }
    match filter.start() {
        Start::First => {}
        Start::After(scope, key) => {
            sql.push_str(" AND (scope, key) > (?, ?)");
            values.push(Value::Text(scope.to_owned()));
            values.push(Value::Blob(key.as_bytes().to_owned()));
        }
        // Without `(scope, key)`, because SQLite uses no index for the pair beside `scope = ?`.
        Start::AfterInScope(key) => {
            sql.push_str(" AND key > ?");
            values.push(Value::Blob(key.as_bytes().to_owned()));
        }
        Start::Nowhere => return None,
    }
    sql.push_str(" ORDER BY scope, key LIMIT ?");
    values.push(Value::Integer(i64::try_from(filter.limit).unwrap_or(i64::MAX)));
    Some((sql, values))
}

fn list(file: &File, filter: &Filter, now: Micros) -> Result<Vec<Entry>, Failure> {
    let Some((sql, values)) = page(&file.texts.list, filter, now) else { return Ok(Vec::new()) };
    let mut statement = file.prepare_cached(&sql)?;
    let mut found = statement.query(params_from_iter(values))?;
    let mut entries = Vec::new();
    while let Some(columns) = found.next()? {
        let (scope, key) = rows::read_key(columns)?;
        let key = key.ok_or_else(|| {
            Failure::Sqlite(rusqlite::Error::InvalidColumnType(1, "key".to_owned(), rusqlite::types::Type::Blob).into())
        })?;
        let row = rows::read(columns, 2).map_err(|column| column.of(&scope, &key))?;
        entries.push(Entry::new(scope, key, row, now));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::file::Texts;
    use super::*;
    use crate::protocol::State;
    use crate::store::table::Table;

    /// SQLite seeks to the start of a page in the primary key, whatever the filter's other parts are.
    #[test]
    fn a_page_is_found_by_the_primary_key() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema.sql")).unwrap();
        let texts = Texts::new(&Table::default());
        let plan = |filter: &Filter| {
            let (sql, values) = page(&texts.list, filter, 1).unwrap();
            let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let steps = explained.query_map(params_from_iter(values), |step| step.get::<_, String>(3)).unwrap();
            steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        let after = |scope: &str| Some((scope.to_owned(), Key::from_bytes(b"k").unwrap()));
        let mut filter = Filter::all().state(State::Free).orphans();
        filter.after = after("s");
        assert_eq!(plan(&filter), "SEARCH idem_keys USING PRIMARY KEY ((scope,key)>(?,?))");
        filter.scope = Some("s".to_owned());
        assert_eq!(plan(&filter), "SEARCH idem_keys USING PRIMARY KEY (scope=? AND key>?)");
        filter.after = after("r");
        assert_eq!(plan(&filter), "SEARCH idem_keys USING PRIMARY KEY (scope=?)");
        filter.after = after("t");
        assert!(page(&texts.list, &filter, 1).is_none());
    }
}
