//! Finding a pooler that gives each transaction another session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::store::sql::{Failure, Sessions};

/// A setting of each session that a store's connection began. Poolers don't pass it on.
pub(super) const MARK: (&str, &str) = ("idem_runtime.session", "own");

/// How often each of the two connections is asked for its server process.
const ROUNDS: usize = 3;

/// The same if there is a pooler for certain. A busy pooler can give a connection the same session several times in a
/// row.
const ROUNDS_BEHIND_A_POOLER: usize = 16;

/// How many statements the check prepares on each connection. It is more than a store's connection has prepared before,
/// so that some have the same name, a number, on both connections.
const STATEMENTS: usize = 64;

/// Whether a store of this process has found such a pooler.
static FOUND: AtomicBool = AtomicBool::new(false);

/// Logs a warning, once in this process, at the first transaction after a store has found such a pooler. Only for
/// drivers that name their prepared statements. A transaction can't find out by itself.
pub(crate) fn warn_transactions() {
    static WARNED: Once = Once::new();
    if FOUND.load(Ordering::Relaxed) {
        WARNED.call_once(|| {
            tracing::warn!(
                "a store of this process has found a pooler that gives each transaction another session of PostgreSQL: \
                 handlers with `tx` that connect through it with sqlx, diesel-async or sea-orm can get the answers to other connections' \
                 prepared statements; connect them directly to the server, or use session mode"
            );
        });
    }
}

/// The first query of each connection.
pub(super) fn ask(connection: &mut PgConnection) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
    Box::pin(async move { session(connection).await.map(drop) })
}

/// Compares two connections. If each has a session of its own, each answers with the same process every time, and the
/// two with different processes.
pub(super) fn compare<'c>(
    one: &'c mut PgConnection,
    other: Option<&'c mut PgConnection>,
) -> Pin<Box<dyn Future<Output = Result<Sessions, Failure>> + Send + 'c>> {
    Box::pin(async move {
        let mut connections = Vec::new();
        for connection in std::iter::once(one).chain(other) {
            let session = session(connection).await?;
            connections.push((connection, session));
        }
        let is_direct = connections.iter().all(|(_, session)| session.is_marked);
        let are_two = connections.len() == 2;
        let mut is_steady = !are_two || connections[0].1 != connections[1].1;
        for _ in 1..if is_direct { ROUNDS } else { ROUNDS_BEHIND_A_POOLER } {
            // A pooler may assign its sessions in turn. In an unchanged order, each connection would get the same
            // session each time.
            connections.reverse();
            for (connection, expected) in &mut connections {
                is_steady &= session(connection).await? == *expected;
            }
        }
        if is_steady {
            return Ok(if are_two { Sessions::Apart } else { Sessions::Alone });
        }
        let mut connections: Vec<_> = connections.into_iter().map(|(connection, _)| connection).collect();
        if keep_statements(&mut connections).await {
            return Ok(Sessions::Kept);
        }
        FOUND.store(true, Ordering::Relaxed);
        Ok(Sessions::Mixed)
    })
}

/// A session of the server, by its process.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Session {
    process: i32,
    /// Whether a store's connection began it.
    is_marked: bool,
}

/// Asks which session answers. The query isn't prepared: behind a pooler, the answer could be another query's.
async fn session(connection: &mut PgConnection) -> sqlx::Result<Session> {
    let (name, value) = MARK;
    let sql = format!("SELECT pg_backend_pid(), coalesce(current_setting('{name}', true) = '{value}', false)");
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    Ok(Session { process: row.try_get(0)?, is_marked: row.try_get(1)? })
}

/// Whether a pooler that mixes sessions tracks which connection has prepared which statement, as PgBouncer does since
/// 1.21 with `max_prepared_statements`. Each connection then gets its own answers, also the second time, when the
/// statements are used by name.
async fn keep_statements(connections: &mut [&mut PgConnection]) -> bool {
    for nth in (0..STATEMENTS).chain(0..STATEMENTS) {
        for (place, connection) in connections.iter_mut().enumerate() {
            let expected = format!("{nth} of {place}");
            let sql = AssertSqlSafe(format!("SELECT '{expected}'"));
            let row = sqlx::query(sql).fetch_one(&mut **connection).await;
            if !row.is_ok_and(|row| row.try_get(0).is_ok_and(|answer: String| answer == expected)) {
                return false;
            }
        }
    }
    true
}
