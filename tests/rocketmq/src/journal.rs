//! The journal: a row for each call of a listener, with the delivery and its outcome, in a file that all consumers of a test share.
//! The handlers don't read it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Row, params};

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS deliveries (
        id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, order_id TEXT, message TEXT NOT NULL, retry INTEGER NOT NULL,
        batch INTEGER NOT NULL, began INTEGER NOT NULL, ran INTEGER, previous TEXT,
        charged INTEGER, ended INTEGER, outcome TEXT
    )";

/// The file.
#[derive(Debug)]
pub struct Journal(Mutex<Connection>);

/// One call of a listener with one message. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The process.
    pub pid: u32,
    /// The business key.
    pub order: Option<String>,
    /// The message's id. Each sending has a new one, and a redelivery has the same.
    pub message: String,
    /// How often the broker has been told to deliver it again.
    pub retry: i32,
    /// The number of messages in its batch.
    pub batch: u32,
    /// When the listener was called.
    pub began: i64,
    /// When the handler's body began. `None`: it didn't run.
    pub ran: Option<i64>,
    /// What the claim says about the key's previous holder, if the handler has a claim.
    pub previous: Option<String>,
    /// When the body had charged. The transaction may not have been committed.
    pub charged: Option<i64>,
    /// When the handler returned. `None`: it never did, or hasn't yet.
    pub ended: Option<i64>,
    /// How.
    pub outcome: Option<String>,
}

impl Delivery {
    /// Whether the handler returned this.
    pub fn is(&self, outcome: &str) -> bool {
        self.outcome.as_deref() == Some(outcome)
    }

    /// Whether it brought this order.
    pub fn is_of(&self, order: &str) -> bool {
        self.order.as_deref() == Some(order)
    }

    /// Whether both bodies ran at the same time.
    pub fn overlaps(&self, other: &Self) -> bool {
        let end = |delivery: &Self| delivery.ended.unwrap_or(i64::MAX);
        match (self.ran, other.ran) {
            (Some(this), Some(that)) => this < end(other) && that < end(self),
            _ => false,
        }
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            pid: row.get("pid")?,
            order: row.get("order_id")?,
            message: row.get("message")?,
            retry: row.get("retry")?,
            batch: row.get("batch")?,
            began: row.get("began")?,
            ran: row.get("ran")?,
            previous: row.get("previous")?,
            charged: row.get("charged")?,
            ended: row.get("ended")?,
            outcome: row.get("outcome")?,
        })
    }
}

impl Journal {
    /// The journal in this folder.
    ///
    /// # Panics
    ///
    /// As all of these do, where SQLite fails.
    pub fn open(directory: &Path) -> Self {
        let connection = Connection::open(directory.join("journal.sqlite")).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        Self(Mutex::new(connection))
    }

    /// A listener was called; says which row it is.
    pub fn begin(&self, order: Option<&str>, message: &str, retry: i32, batch: u32) -> i64 {
        let row = params![std::process::id(), order, message, retry, batch, now()];
        let columns = "(pid, order_id, message, retry, batch, began) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        self.write(&format!("INSERT INTO deliveries {columns}"), row)
    }

    /// The handler's body began.
    pub fn ran(&self, delivery: i64, previous: Option<&str>) {
        let sql = "UPDATE deliveries SET ran = ?2, previous = ?3 WHERE id = ?1";
        self.write(sql, params![delivery, now(), previous]);
    }

    /// The body has charged.
    pub fn charged(&self, delivery: i64) {
        self.write("UPDATE deliveries SET charged = ?2 WHERE id = ?1", params![delivery, now()]);
    }

    /// The handler returned.
    pub fn end(&self, delivery: i64, outcome: &str) {
        self.write("UPDATE deliveries SET ended = ?2, outcome = ?3 WHERE id = ?1", params![delivery, now(), outcome]);
    }

    /// All deliveries, in the order in which they came.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let connection = self.0.lock().unwrap();
        let mut select = connection.prepare_cached("SELECT * FROM deliveries ORDER BY id").unwrap();
        select.query_map([], Delivery::read).unwrap().map(Result::unwrap).collect()
    }

    fn write(&self, sql: &str, row: &[&dyn rusqlite::ToSql]) -> i64 {
        // If a handler panicked while it held the lock, the journal is still usable.
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.prepare_cached(sql).unwrap().execute(row).unwrap();
        connection.last_insert_rowid()
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}
