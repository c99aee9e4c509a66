//! Sending a statement, and again where others got in its way.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Executor as _};

use super::Postgres;
use super::params::{self, Param};
use crate::store::sql::{Connections, Failure, patiently};

/// What goes before a statement that isn't prepared, for as long as it takes: its answer is text, in which the driver knows
/// bytes by their digits. A row is waited for no longer than on a connection of the store's own.
const SETTINGS: &str = "SET LOCAL bytea_output = 'hex';SET LOCAL lock_timeout = '1s';";

/// Where statements are sent to.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connections: Connections<sqlx::Postgres>,
    pub(super) simple: bool,
}

impl Session {
    /// Sends a statement: one round trip, and another one on a connection that has not prepared it yet.
    pub(super) async fn fetch(&self, sql: &Arc<str>, params: &[Param<'_>]) -> Result<Vec<PgRow>, Failure> {
        patiently::<Postgres, _, _>(|| self.fetch_once(sql, params)).await
    }

    async fn fetch_once(&self, sql: &Arc<str>, params: &[Param<'_>]) -> Result<Vec<PgRow>, Failure> {
        let mut connected = self.connections.connect().await.inspect_err(|failure| self.note(failure))?;
        let answer = if self.simple {
            (*connected)
                .fetch_all(sqlx::raw_sql(AssertSqlSafe(SETTINGS.to_owned() + &params::inlined(sql, params))))
                .await
        } else {
            let arguments = params::bound(params)?;
            (*connected).fetch_all(sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments)).await
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
