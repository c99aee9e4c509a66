//! A bank: transfers between ten accounts. Each is delivered at least three times, to four processes with eight handlers each. The
//! processes are killed and replaced at random moments, and also right before and after a commit. The server is killed too. At the
//! end the books are checked.
//!
//! In tx mode every transfer is booked exactly once. In lease mode the handler has a transaction of its own. No transfer is lost
//! then, and one that was booked twice is explained by a worker that died between its commit and its record.
//!
//! `IDEM_BANK_TRANSFERS` is the number of transfers, 400 unless set.

#![allow(clippy::duplicate_mod, reason = "the tellers are one text for each database")]

mod attempt;
mod broker;
mod check;
mod databases;
mod failure;
mod history;
mod judged;
mod ledger;
mod run;
mod worker;

use idem_tests::server::{MariaDb, Postgres, Server};
use tokio::sync::Mutex;

use self::attempt::Point;
use self::run::{Figures, run};
use self::worker::{Bank, Mode, bank, work};

/// SQLite, through sqlx.
#[path = "."]
mod on_sqlite {
    use super::databases::sqlite::*;

    pub(crate) mod teller;
}

/// PostgreSQL.
#[path = "."]
mod on_postgres {
    use super::databases::postgres::*;

    pub(crate) mod teller;
}

/// MariaDB.
#[path = "."]
mod on_mariadb {
    use super::databases::mariadb::*;

    pub(crate) mod teller;
}

type Sqlite = on_sqlite::teller::Desk;
type OnPostgres = on_postgres::teller::Desk;
type OnMariaDb = on_mariadb::teller::Desk;

/// Lets one run take place at a time: each needs the whole machine.
static TURN: Mutex<()> = Mutex::const_new(());

/// Not a test of its own: the process of a worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker() {
    match bank().as_deref() {
        Some(Sqlite::NAME) => work::<Sqlite>().await,
        Some(OnPostgres::NAME) => work::<OnPostgres>().await,
        Some(OnMariaDb::NAME) => work::<OnMariaDb>().await,
        name => assert_eq!(name, None),
    }
}

/// Carries out a run, and asserts that nothing is wrong and that the faults took place.
async fn proven<B: Bank>(url: &str, server: Option<&Server>, mode: Mode) {
    let transfers = std::env::var("IDEM_BANK_TRANSFERS").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let figures: Figures = run::<B>(url, server, mode, transfers).await;
    let points: &[Point] = match mode {
        Mode::Tx => &[Point::Written, Point::Uncommitted, Point::Unacknowledged],
        Mode::Lease => &[Point::Written, Point::Unrecorded, Point::Unacknowledged],
    };
    for &point in points {
        assert!(figures.deaths(point) > 0, "no worker died at {point:?}");
    }
    match mode {
        Mode::Tx => assert_eq!(figures.found.repeats.sum(), 0),
        Mode::Lease => assert!(figures.found.repeats.deliberate > 0, "no worker died between commit and record"),
    }
    assert!(server.is_none() || figures.restarts > 0);
}

async fn on_sqlite(mode: Mode) {
    let _turn = TURN.lock().await;
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("bank.db").display());
    proven::<Sqlite>(&url, None, mode).await;
}

async fn on_postgres(mode: Mode) {
    let _turn = TURN.lock().await;
    // Deadlocks are frequent here, so the server looks for one after a short wait.
    let server = Postgres::start_with(&["-c", "deadlock_timeout=10ms"]).await;
    proven::<OnPostgres>(&server.url(), Some(&server), mode).await;
}

async fn on_mariadb(mode: Mode) {
    let _turn = TURN.lock().await;
    // Without the binary log, which MySQL has by default, InnoDB shows committed rows before they are durable
    // (https://bugs.mysql.com/bug.php?id=74303): a replay could be acknowledged whose record the server loses when it is killed.
    let server = MariaDb::start_with(&["--log-bin=changes", "--sync-binlog=1", "--binlog-format=ROW"]).await;
    proven::<OnMariaDb>(&server.url(), Some(&server), mode).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r22_sqlite_books_each_transfer_exactly_once() {
    on_sqlite(Mode::Tx).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r22_postgres_books_each_transfer_exactly_once() {
    on_postgres(Mode::Tx).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r22_mariadb_books_each_transfer_exactly_once() {
    on_mariadb(Mode::Tx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_sqlite_under_leases_repeats_only_what_a_death_explains() {
    on_sqlite(Mode::Lease).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a PostgreSQL server: run by tests/run"]
async fn r13_postgres_under_leases_repeats_only_what_a_death_explains() {
    on_postgres(Mode::Lease).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a MariaDB server: run by tests/run"]
async fn r13_mariadb_under_leases_repeats_only_what_a_death_explains() {
    on_mariadb(Mode::Lease).await;
}
