//! SQLite passes the suite. tests/rusqlite compiles this file with other versions of rusqlite.

use std::future::{Ready, ready};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use idem_runtime::SqliteStore;
use idem_runtime::conformance::Suite;

#[tokio::test(flavor = "multi_thread")]
async fn store_conforms() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("keys.db");
    let rows = Rows { path: path.clone(), ahead: Mutex::default() };
    let suite = Suite::new().clock(move |ahead| rows.set_clock_ahead(ahead));
    suite.run(|| async { SqliteStore::open(&path).await.expect("a new file") }).await;
}

/// The rows of a SQLite store. The store uses this process's clock, which can't be set: so the test moves the times in the rows.
struct Rows {
    path: PathBuf,
    ahead: Mutex<Duration>,
}

impl Rows {
    fn set_clock_ahead(&self, ahead: Duration) -> Ready<()> {
        let before = std::mem::replace(&mut *self.ahead.lock().unwrap(), ahead);
        let by = before.as_micros() as i64 - ahead.as_micros() as i64;
        let file = rusqlite::Connection::open(&self.path).unwrap();
        file.busy_timeout(Duration::from_secs(10)).unwrap();
        let times =
            ["fence", "until", "doubt", "previous_fence", "purge_at"].map(|time| format!("{time} = {time} + {by}"));
        file.execute(&format!("UPDATE idem_keys SET {}", times.join(", ")), []).unwrap();
        ready(())
    }
}

/// Two stores on one file, as two processes have them. The table's name is a reserved word.
#[tokio::test(flavor = "multi_thread")]
async fn two_stores_on_one_file_conform() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("keys.db");
    let open = || async { SqliteStore::options().table("order").open(&path).await.expect("a file") };
    Suite::new().processes(2).run(open).await;
}
