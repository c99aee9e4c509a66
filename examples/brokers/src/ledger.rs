//! The charges that were made, in a SQLite file that several processes share. It must not have an order twice.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use idem_runtime::{Claim, Previous};
use rusqlite::Connection;

/// One charge.
#[derive(Debug, PartialEq)]
pub struct Charge {
    /// How much.
    pub cents: u32,
    /// The number of the handler's run, among those for this order, that made the charge.
    pub attempt: u32,
    /// How the run before it ended: `nothing` (there was none), `failure` or `crash`.
    pub after: String,
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger(Mutex<Connection>);

impl Ledger {
    /// Opens the file, or creates it.
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE IF NOT EXISTS charges (order_id TEXT, cents INTEGER, attempt INTEGER, after TEXT)",
        )?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Enters a charge. It doesn't check whether the order was charged before.
    pub fn enter(&self, order: &str, cents: u32, claim: &Claim) -> rusqlite::Result<()> {
        let after = match claim.previous() {
            Previous::First => "nothing",
            Previous::AfterFailure => "failure",
            Previous::AfterCrash { .. } => "crash",
        };
        let charge = (order, cents, claim.attempt(), after);
        self.connection().execute("INSERT INTO charges VALUES (?, ?, ?, ?)", charge)?;
        Ok(())
    }

    /// The charges of this order.
    pub fn charges(&self, order: &str) -> rusqlite::Result<Vec<Charge>> {
        let connection = self.connection();
        let mut select = connection.prepare("SELECT cents, attempt, after FROM charges WHERE order_id = ?")?;
        let charge =
            |row: &rusqlite::Row<'_>| Ok(Charge { cents: row.get(0)?, attempt: row.get(1)?, after: row.get(2)? });
        select.query_map([order], charge)?.collect()
    }

    /// How many orders were charged, and how many charges there are.
    pub fn totals(&self) -> rusqlite::Result<(u32, u32)> {
        let select = "SELECT COUNT(DISTINCT order_id), COUNT(*) FROM charges";
        self.connection().query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.lock().expect("no thread panics while it holds the ledger")
    }
}
