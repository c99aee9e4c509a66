//! Handlers beside the sweep of a large backlog: 32 callers, 1,000,000 rows, 800,000 of them due.
//!
//! `cargo bench --ignore-rust-version --bench backlog -- sqlite postgres`; without a name, every store. `IDEM_BACKLOG_ROWS`
//! is how many rows there are, `IDEM_BACKLOG_SECONDS` how long each window takes. Redis deletes its rows by itself.

use std::any::Any;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use idem_benches::load::id;
use idem_benches::rounds::median;
use idem_runtime::store::{ClaimAnswer, ClaimRequest, CompleteRequest, Key, Owner, Record};
use idem_runtime::{
    AnyStore, Error, IdempotencyStore, MemoryStore, MySqlStore, Outcome, PostgresStore, SqliteStore, idempotent,
};
use idem_tests::server::{MariaDb, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

const CALLERS: usize = 32;
const ROUNDS: usize = 3;

#[idempotent(key = "id", scope = "orders::charge", store = store)]
async fn charge(store: &AnyStore, id: &str) -> Result<Outcome<String>, Error> {
    Ok("r".repeat(64).into())
}

/// A store with a backlog, and what has to live as long.
struct Backlog {
    store: AnyStore,
    /// From when on there is a backlog; `None`: from the beginning.
    due_at: Option<Instant>,
    _server: Box<dyn Any + Send>,
}

/// So many rows, and so many of them due.
#[derive(Clone, Copy)]
struct Size {
    rows: usize,
    due: usize,
}

type Opening = Pin<Box<dyn Future<Output = Backlog>>>;

const STORES: [(&str, fn(Size) -> Opening); 4] = [
    ("memory", |size| Box::pin(memory(size))),
    ("sqlite", |size| Box::pin(sqlite(size))),
    ("postgres", |size| Box::pin(postgres(size))),
    ("mysql", |size| Box::pin(mysql(size))),
];

/// Each new key sweeps two rows: so these become due at a time, all at once, and are swept in one round.
async fn memory(size: Size) -> Backlog {
    let store = MemoryStore::new();
    let due_at = Instant::now() + Duration::from_secs(20) + Duration::from_micros(10 * size.rows as u64);
    let record = Record::from_bytes(&[b'r'; 64]);
    for number in 0..size.rows {
        let key = Key::from_bytes(format!("old-{number:020}").as_bytes()).unwrap();
        let claim = ClaimRequest::new("orders::charge", &key, Owner::random(), Duration::ZERO);
        let ClaimAnswer::Acquired(grant) = store.claim(claim).await.unwrap() else { panic!("the key is new") };
        let days = if number < size.due { 0 } else { 7 };
        let ttl = Duration::from_secs(60 * 60 * 24 * days);
        let mut complete = CompleteRequest::new(&claim, grant.fence, &record, ttl);
        complete.linger = due_at.saturating_duration_since(Instant::now());
        store.complete(complete).await.unwrap();
    }
    Backlog { store: AnyStore::new(store), due_at: Some(due_at), _server: Box::new(()) }
}

async fn sqlite(size: Size) -> Backlog {
    let directory = Folder::new();
    let path = directory.0.join("backlog.sqlite");
    let store = SqliteStore::options().sweep_interval(None).open(&path).await.unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let fill = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        INSERT INTO idem_keys (scope, key, state, owner, fence, until, previous, attempt, ended, purge_at, record)
        SELECT 'orders::charge', CAST(hex(randomblob(12)) AS BLOB), 5, randomblob(16), 1, t, 1, 1, x'', t, zeroblob(64)
        FROM (SELECT CASE WHEN n <= ?2 THEN n ELSE 1 << 60 END AS t FROM n)";
    let (rows, due) = (size.rows as i64, size.due as i64);
    connection.execute(fill, [rows, due]).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    Backlog { store: AnyStore::new(store), due_at: None, _server: Box::new(directory) }
}

async fn postgres(size: Size) -> Backlog {
    let server = Postgres::start_with(&["-c", "shared_buffers=256MB"]).await;
    let store = PostgresStore::options().sweep_interval(None).open(&server.url()).await.unwrap();
    let mut connection = sqlx::PgConnection::connect(&server.url()).await.unwrap();
    let fill = format!(
        "INSERT INTO idem_keys (scope, key, fence, until, purge_at, attempt, state, previous, owner, ended, record)
        SELECT 'orders::charge', convert_to(left(md5(n::text), 24), 'UTF8'), 1, t, t, 1, 5, 1, decode(md5(n::text), 'hex'),
            '', convert_to(repeat('r', 64), 'UTF8')
        FROM (SELECT n, CASE WHEN n <= {} THEN n ELSE 1::bigint << 60 END AS t FROM generate_series(1, {}) n) filled",
        size.due, size.rows
    );
    for sql in [&fill, "VACUUM ANALYZE idem_keys", "CHECKPOINT"] {
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap();
    }
    Backlog { store: AnyStore::new(store), due_at: None, _server: Box::new(server) }
}

async fn mysql(size: Size) -> Backlog {
    let server = MariaDb::start_with(&["--innodb-buffer-pool-size=512M"]).await;
    let store = MySqlStore::options().sweep_interval(None).open(&server.url()).await.unwrap();
    let mut connection = sqlx::MySqlConnection::connect(&server.url()).await.unwrap();
    let thousand = "JSON_TABLE(CONCAT('[0', REPEAT(',0', 999), ']'), '$[*]' COLUMNS (n FOR ORDINALITY))";
    let fill = format!(
        "INSERT INTO idem_keys (scope, `key`, state, owner, fence, until, previous, attempt, ended, purge_at, record)
        SELECT 'orders::charge', LEFT(MD5(n), 24), 5, UNHEX(MD5(n)), 1, t, 1, 1, '', t, REPEAT('r', 64)
        FROM (SELECT n, IF(n <= {}, n, 1 << 60) AS t
            FROM (SELECT a.n + 1000 * (b.n - 1) AS n FROM {thousand} a, {thousand} b) numbers WHERE n <= {}) filled",
        size.due, size.rows
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(fill))).await.unwrap();
    Backlog { store: AnyStore::new(store), due_at: None, _server: Box::new(server) }
}

/// A folder on this disk, which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("backlog-bench");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the callers saw in one window.
#[derive(Default)]
struct Window {
    /// Calls a second.
    rate: f64,
    /// In microseconds.
    p99: f64,
    errors: usize,
}

/// Calls by all callers until the time is over, or `ended` says so.
async fn window(
    store: &AnyStore,
    next: &Arc<AtomicUsize>,
    time: Duration,
    ended: impl Fn() -> bool + Clone + Send + 'static,
) -> Window {
    let begun = Instant::now();
    let caller = |_| {
        let (store, next, ended) = (store.clone(), Arc::clone(next), ended.clone());
        tokio::spawn(async move {
            let (mut times, mut errors) = (Vec::new(), 0);
            while begun.elapsed() < time && !ended() {
                let id = id(next.fetch_add(1, Ordering::Relaxed));
                let called = Instant::now();
                errors += usize::from(charge(&store, &id).await.is_err());
                times.push(called.elapsed().as_secs_f64() * 1e6);
                // A call that waits for nothing would keep its thread from the others.
                tokio::task::yield_now().await;
            }
            (times, errors)
        })
    };
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let (mut times, mut window) = (Vec::new(), Window::default());
    for caller in callers {
        let (of_this, errors) = caller.await.unwrap();
        times.extend(of_this);
        window.errors += errors;
    }
    times.sort_by(f64::total_cmp);
    window.rate = times.len() as f64 / begun.elapsed().as_secs_f64();
    window.p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    window
}

/// Windows without a sweep and beside an operator's sweep of everything, in turns.
async fn measure(name: &str, backlog: &Backlog, time: Duration) {
    let (store, admin) = (&backlog.store, backlog.store.admin().unwrap());
    let next = Arc::default();
    window(store, &next, time / 2, || false).await;
    let (mut before, mut during, mut swept) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..if backlog.due_at.is_some() { 1 } else { ROUNDS } {
        before.push(window(store, &next, time, || false).await);
        if let Some(due_at) = backlog.due_at {
            tokio::time::sleep_until(due_at.into()).await;
        }
        let due = admin.stats().await.unwrap().sweepable;
        let operator = Arc::clone(&admin);
        let sweep = tokio::spawn(async move { operator.sweep(usize::MAX).await.unwrap() });
        let (begun, sweeping) = (Instant::now(), sweep.abort_handle());
        during.push(window(store, &next, time, move || sweeping.is_finished()).await);
        let took = begun.elapsed();
        sweep.abort();
        assert!(!sweep.await.is_err_and(|error| error.is_panic()), "the sweep failed");
        let left = admin.stats().await.unwrap().sweepable;
        swept.push(due.saturating_sub(left) as f64 / took.as_secs_f64());
    }
    let of = |windows: &[Window], value: fn(&Window) -> f64| median(windows.iter().map(value).collect());
    let [calls, p99]: [fn(&Window) -> f64; 2] = [|window| window.rate, |window| window.p99];
    let errors: usize = before.iter().chain(&during).map(|window| window.errors).sum();
    println!(
        "| {name} | {:.0} | {:.0} | {:.2} | {:.0} | {:.0} | {:.2} | {:.0} | {errors} |",
        of(&before, calls),
        of(&during, calls),
        of(&during, calls) / of(&before, calls),
        of(&before, p99),
        of(&during, p99),
        of(&during, p99) / of(&before, p99),
        median(swept),
    );
}

fn setting<T: FromStr>(name: &str, or: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(or)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let rows = setting("IDEM_BACKLOG_ROWS", 1_000_000);
    let size = Size { rows, due: rows / 10 * 8 };
    let time = Duration::from_secs(setting("IDEM_BACKLOG_SECONDS", 10));
    let wanted: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let columns =
        "calls a second before | during | ratio | p99 before, µs | during | ratio | rows swept a second | errors";
    println!("| {rows} rows | {columns} |\n|---|---|---|---|---|---|---|---|---|");
    for (name, open) in STORES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(name, &open(size).await, time).await;
        }
    }
}
