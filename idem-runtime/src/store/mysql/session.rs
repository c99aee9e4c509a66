//! Sending statements, and again where others got in their way.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Executor as _, MySqlPool, Row as _};

use super::dialect::MySql;
use crate::error::Error;
use crate::store::sql::{Connected, Connections, Dialect as _, Failure, Opening, Place, Prepare, compare, patiently};
use crate::store::table::Table;

/// The settings of each connection. READ COMMITTED, because at a higher level an absent key locks its neighbours. A row
/// that is locked for longer than a moment isn't locked by a claim that commits; waiting for it would delay the other
/// requests of the transaction. So the lock wait time-out is a second.
const PREPARE: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;\
     SET SESSION autocommit = 1, sql_mode = 'STRICT_ALL_TABLES', innodb_lock_wait_timeout = 1";

/// Around statements that are carried out together or not at all.
const BEGIN: &str = "START TRANSACTION;";
const END: &str = "COMMIT";

fn prepare(connection: &mut MySqlConnection) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
    Box::pin(async move { connection.execute(sqlx::raw_sql(PREPARE)).await.map(drop) })
}

fn place(connection: &mut MySqlConnection) -> Pin<Box<dyn Future<Output = sqlx::Result<Place>> + Send + '_>> {
    Box::pin(async move {
        let row = connection.fetch_one(sqlx::raw_sql("SELECT DATABASE(), CURRENT_USER()")).await?;
        Ok(Place { database: row.try_get(0)?, schema: None, user: row.try_get(1)? })
    })
}

/// Sends statements, on the store's connections.
#[derive(Clone)]
pub(super) struct Session {
    connections: Connections<sqlx::MySql>,
    pub(super) table: Table,
}

/// Statements that are sent in one round trip. Each ends with a semicolon.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) sql: String,
    /// The table of the statements.
    pub(super) table: Table,
    /// The statement that ends the transaction, or nothing if the script is none.
    end: &'static str,
}

impl Session {
    /// Makes one whose connections are opened with these options. `options` is called anew for each connection.
    pub(super) fn new(
        options: impl Fn() -> MySqlConnectOptions + Send + Sync + 'static,
        most: usize,
        table: Table,
    ) -> Self {
        let (options, prepare) = (Box::new(options), Some(prepare as Prepare<sqlx::MySql>));
        let opening = Opening { options, prepare, comparing: None, is_full: MySql::is_full };
        Self { connections: Connections::new(opening, most), table }
    }

    /// The same, with the connect options of a user's pool.
    pub(super) async fn beside(pool: MySqlPool, most: usize, table: Table) -> Result<Self, Error> {
        let user = pool.clone();
        let session = Self::new(move || MySqlConnectOptions::clone(&user.connect_options()), most, table);
        compare::<MySql, _>(&pool, &session.connections, place).await?;
        Ok(session)
    }

    /// A script without a transaction. At most one of its statements may write, and others may write between its
    /// statements.
    pub(super) fn single(&self) -> Script {
        Script { sql: String::new(), table: self.table.clone(), end: "" }
    }

    /// A script in one transaction, with one commit.
    pub(super) fn transaction(&self) -> Script {
        Script { sql: BEGIN.to_owned(), table: self.table.clone(), end: END }
    }

    /// A script for this many requests, in one transaction if there are several.
    pub(super) fn batch(&self, requests: usize) -> Script {
        if requests == 1 { self.single() } else { self.transaction() }
    }

    /// Sends a script and returns the rows that its statements return. One round trip.
    pub(super) async fn fetch(&self, script: Script) -> Result<Vec<MySqlRow>, Failure> {
        let script = script.finished();
        patiently::<MySql, _, _>(|| async { Ok(self.run(&script, false).await?.rows) }).await
    }

    /// Sends a script and returns how many rows its statements found to change. One round trip.
    pub(super) async fn execute(&self, script: Script) -> Result<u64, Failure> {
        let script = script.finished();
        patiently::<MySql, _, _>(|| async { Ok(self.run(&script, true).await?.found) }).await
    }

    async fn run(&self, script: &Finished, counts: bool) -> Result<Answer, Failure> {
        let mut using = self.connect().await?;
        let answer = using.run(Arc::clone(&script.sql), counts).await;
        // Without a transaction, a statement that the server rolled back leaves nothing on the connection.
        let whole = match &answer {
            Ok(_) => true,
            Err(failure) => failure.is_conflict::<MySql>() && !script.is_transaction,
        };
        if whole {
            using.put_back();
        }
        answer
    }

    /// Takes a connection. It is closed unless it is put back.
    pub(super) async fn connect(&self) -> Result<Using<'_>, Failure> {
        let connected = self.connections.connect().await.inspect_err(|failure| self.note(failure))?;
        Ok(Using { session: self, connected })
    }

    fn note(&self, failure: &Failure) {
        if failure.is_broken_connection::<MySql>() {
            self.connections.broke();
        }
    }
}

impl Script {
    /// The statements before the end of the transaction, and the statement that ends it.
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

/// The server's answer.
pub(super) struct Answer {
    pub(super) rows: Vec<MySqlRow>,
    found: u64,
}

/// A connection in use. If not all of its statements were carried out, it may be in the middle of a transaction. It is
/// then closed, so that the server rolls the transaction back.
pub(super) struct Using<'s> {
    session: &'s Session,
    connected: Connected<sqlx::MySql>,
}

impl Using<'_> {
    /// Sends statements.
    pub(super) async fn run(&mut self, sql: Arc<String>, counts: bool) -> Result<Answer, Failure> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        let answer = if counts {
            self.connected.execute(sql).await.map(|done| Answer { rows: Vec::new(), found: done.rows_affected() })
        } else {
            self.connected.fetch_all(sql).await.map(|rows| Answer { rows, found: 0 })
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

    /// Puts the connection back, after its statements were carried out.
    pub(super) fn put_back(self) {
        self.session.connections.put_back(self.connected);
    }
}
