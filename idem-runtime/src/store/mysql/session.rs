//! Sending statements, and again where others got in their way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Executor as _};

use super::dialect::MySql;
use crate::store::sql::{Connected, Connections, Failure, patiently};

/// What every connection of the store's own is told once. READ COMMITTED: at a higher level an absent key locks its
/// neighbours. Who holds a row for longer than a moment is no claim that is being committed: waiting for it would hold up those
/// who share the transaction.
const PREPARE: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;\
     SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = 1";

/// The same for statements that stand or fall together.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED;START TRANSACTION;";
const END: &str = "COMMIT";

/// The same for connections that are the user's, whose settings are given back.
const BORROW: &str = "SET @idempotency_wait = @@SESSION.innodb_lock_wait_timeout;\
     SET SESSION innodb_lock_wait_timeout = 1;\
     SET TRANSACTION ISOLATION LEVEL READ COMMITTED;START TRANSACTION;";
const GIVE_BACK: &str = "COMMIT;SET SESSION innodb_lock_wait_timeout = @idempotency_wait";

/// Prepares a connection of the store's own.
pub(super) fn prepare(connection: &mut MySqlConnection) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
    Box::pin(async move { connection.execute(sqlx::raw_sql(PREPARE)).await.map(drop) })
}

/// Where statements are sent to.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connections: Connections<sqlx::MySql>,
}

/// Statements that are sent in one round trip; each ends with a semicolon.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) sql: String,
    /// What ends the transaction, if it is one.
    end: &'static str,
}

impl Session {
    /// Statements of which at most one writes. Between them, others may.
    pub(super) fn single(&self) -> Script {
        match self.connections {
            Connections::Own(_) => Script { sql: String::new(), end: "" },
            // Its connections may be at any isolation level, and without autocommit.
            Connections::Pool(_) => self.transaction(),
        }
    }

    /// Statements that stand or fall together, with one commit.
    pub(super) fn transaction(&self) -> Script {
        let (begin, end) = match self.connections {
            Connections::Own(_) => (BEGIN, END),
            Connections::Pool(_) => (BORROW, GIVE_BACK),
        };
        Script { sql: begin.to_owned(), end }
    }

    /// One statement for each of the requests, and one commit for all of them.
    pub(super) fn batch(&self, requests: usize) -> Script {
        if requests == 1 { self.single() } else { self.transaction() }
    }

    /// Sends statements, and answers with the rows that they return: one round trip.
    pub(super) async fn fetch(&self, script: Script) -> Result<Vec<MySqlRow>, Failure> {
        let script = script.finished();
        patiently::<MySql, _, _>(|| async { Ok(self.run(&script, false).await?.rows) }).await
    }

    /// Sends statements, and answers how many rows they found to change: one round trip.
    pub(super) async fn execute(&self, script: Script) -> Result<u64, Failure> {
        let script = script.finished();
        patiently::<MySql, _, _>(|| async { Ok(self.run(&script, true).await?.found) }).await
    }

    async fn run(&self, script: &Finished, counts: bool) -> Result<Answer, Failure> {
        let mut using = self.connect(script.is_transaction).await?;
        let answer = using.run(Arc::clone(&script.sql), counts).await;
        // Without a transaction, nothing is left of what was undone.
        let whole = match &answer {
            Ok(_) => true,
            Err(failure) => failure.is_conflict::<MySql>() && !script.is_transaction,
        };
        if whole {
            using.put_back();
        }
        answer
    }

    /// A connection, which is closed unless it is put back.
    pub(super) async fn connect(&self, is_transaction: bool) -> Result<Using<'_>, Failure> {
        let connected = self.connections.connect().await.inspect_err(|failure| self.note(failure))?;
        Ok(Using { session: self, connected: Some(connected), is_transaction })
    }

    fn note(&self, failure: &Failure) {
        if failure.is_broken_connection::<MySql>() {
            self.connections.broke();
        }
    }
}

impl Script {
    /// The statements that come before the end of the transaction, and those that end it.
    pub(super) fn parts(self) -> (String, &'static str) {
        (self.sql, self.end)
    }

    fn finished(mut self) -> Finished {
        self.sql.push_str(self.end);
        Finished { sql: Arc::new(self.sql), is_transaction: !self.end.is_empty() }
    }
}

struct Finished {
    sql: Arc<String>,
    is_transaction: bool,
}

/// What the server answered.
pub(super) struct Answer {
    pub(super) rows: Vec<MySqlRow>,
    found: u64,
}

/// A connection in use. One whose statements were not all carried out may be in the middle of a transaction: it is closed,
/// so that the server undoes it, and is not the next one's, not even in the user's pool.
pub(super) struct Using<'s> {
    session: &'s Session,
    connected: Option<Connected<sqlx::MySql>>,
    is_transaction: bool,
}

impl Using<'_> {
    /// Sends statements.
    pub(super) async fn run(&mut self, sql: Arc<String>, counts: bool) -> Result<Answer, Failure> {
        let Some(connected) = &mut self.connected else {
            return Err(Failure::Unexpected("the connection was put back"));
        };
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        let answer = if counts {
            (**connected).execute(sql).await.map(|done| Answer { rows: Vec::new(), found: done.rows_affected() })
        } else {
            (**connected).fetch_all(sql).await.map(|rows| Answer { rows, found: 0 })
        };
        answer.map_err(|error| {
            if error.as_database_error().is_some_and(MySql::is_syntax_error) {
                let what = "the server doesn't know the store's statements: it has to be MySQL 8.0 or MariaDB 10.6";
                return Failure::from(sqlx::Error::Configuration(what.into()));
            }
            let failure = Failure::from(error);
            self.session.note(&failure);
            failure
        })
    }

    /// Its statements were carried out.
    pub(super) fn put_back(mut self) {
        if let Some(connected) = self.connected.take() {
            self.session.connections.put_back(connected);
        }
    }
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        match self.connected.take() {
            Some(Connected::Pool(connection)) if self.is_transaction => drop(connection.detach()),
            _ => {}
        }
    }
}
