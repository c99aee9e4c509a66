//! Sending statements, and sending one again after a conflict with other transactions.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Executor as _, PgPool, Row as _};

use super::params::{self, Param};
use super::{Postgres, pooler};
use crate::error::Error;
use crate::store::sql::{Comparing, Connections, Dialect as _, Failure, Opening, Place, compare, patiently};
use crate::store::table::Table;

/// The settings of each connection.
///
/// Plans are made once for each connection. They never read the whole table: the statistics of a table that was small a
/// minute ago would suggest it.
///
/// A row that is locked for longer than a moment isn't locked by a claim that commits. Waiting for it would delay the
/// other requests of the statement, and the server would go on waiting after its client has gone. So `lock_timeout` is
/// a second.
///
/// At a stricter isolation level, the server would again and again roll back statements that meet others.
const AT_OPENING: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("lock_timeout", "1s"),
    ("default_transaction_isolation", "read committed"),
    pooler::MARK,
];

/// The settings before a statement that isn't prepared, for that statement only. Its answer is text, in which the
/// driver expects bytes as hexadecimal digits. The others are those of [`AT_OPENING`].
const SETTINGS: &str = "SET LOCAL transaction_isolation = 'read committed';SET LOCAL bytea_output = 'hex';\
                        SET LOCAL lock_timeout = '1s';";

/// The settings before a statement that reads much of the table. The server may read the table in the order of the
/// disk, and uses one process.
const SCAN: &str = "SET LOCAL enable_seqscan = on;SET LOCAL max_parallel_workers_per_gather = 0;";

/// Sends statements, on the store's connections.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connections: Connections<sqlx::Postgres>,
    pub(super) simple: bool,
    pub(super) table: Table,
}

impl Session {
    /// Makes one whose connections are opened with these options. `options` is called anew for each connection.
    pub(super) fn new(
        options: impl Fn() -> PgConnectOptions + Send + Sync + 'static,
        most: usize,
        simple: bool,
        table: Table,
    ) -> Self {
        // A pooler may refuse the settings of its clients.
        let options = Box::new(move || if simple { options() } else { options().options(AT_OPENING) });
        let comparing = (!simple).then_some(Comparing { ask: pooler::ask, compare: pooler::compare });
        let opening = Opening { options, prepare: None, comparing, is_full: Postgres::is_full };
        Self { connections: Connections::new(opening, most), simple, table }
    }

    /// The same, with the connect options of a user's pool.
    pub(super) async fn beside(pool: PgPool, most: usize, simple: bool, table: Table) -> Result<Self, Error> {
        let user = pool.clone();
        let session = Self::new(move || PgConnectOptions::clone(&user.connect_options()), most, simple, table);
        compare::<Postgres, _>(&pool, &session.connections, place).await?;
        Ok(session)
    }

    /// Sends a statement. One round trip, and one more on a connection that has not prepared it yet.
    pub(super) async fn fetch(&self, sql: &Arc<str>, params: &[Param<'_>]) -> Result<Vec<PgRow>, Failure> {
        let unprepared = self.simple.then(|| SETTINGS.to_owned() + &params::inlined(sql, params));
        patiently::<Postgres, _, _>(|| self.fetch_once(sql, params, unprepared.as_ref())).await
    }

    /// Sends a statement that reads a large part of the table. The server plans it for its parameters and the table's
    /// present size. One round trip.
    pub(super) async fn scan(&self, sql: &Arc<str>, params: &[Param<'_>]) -> Result<Vec<PgRow>, Failure> {
        let unprepared = [SETTINGS, SCAN, &params::inlined(sql, params)].concat();
        patiently::<Postgres, _, _>(|| self.fetch_once(sql, params, Some(&unprepared))).await
    }

    async fn fetch_once(
        &self,
        sql: &Arc<str>,
        params: &[Param<'_>],
        unprepared: Option<&String>,
    ) -> Result<Vec<PgRow>, Failure> {
        let mut connected = self.connections.connect().await.inspect_err(|failure| self.note(failure))?;
        let answer = if let Some(text) = unprepared {
            connected.fetch_all(sqlx::raw_sql(AssertSqlSafe(text.clone()))).await
        } else {
            let arguments = params::bound(params)?;
            connected.fetch_all(sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments)).await
        };
        match answer {
            Ok(rows) => {
                self.connections.put_back(connected);
                Ok(rows)
            }
            Err(error) => {
                let failure = Failure::from(error);
                if failure.is_conflict::<Postgres>() {
                    self.connections.put_back(connected);
                }
                self.note(&failure);
                Err(failure)
            }
        }
    }

    fn note(&self, failure: &Failure) {
        if failure.is_broken_connection::<Postgres>() {
            self.connections.broke();
        }
    }
}

/// The query isn't prepared, because the connection may be one to a pooler.
fn place(connection: &mut PgConnection) -> Pin<Box<dyn Future<Output = sqlx::Result<Place>> + Send + '_>> {
    Box::pin(async move {
        let asked = sqlx::raw_sql("SELECT current_database()::text, current_schema()::text, current_user::text");
        let row = connection.fetch_one(asked).await?;
        Ok(Place { database: row.try_get(0)?, schema: row.try_get(1)?, user: row.try_get(2)? })
    })
}
