//! Whether a pooler stands before the server that gives each transaction another session.

use std::future::Future;
use std::pin::Pin;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::store::sql::{Failure, Sessions};

/// What a session has that was begun by a connection of a store. Poolers don't pass it on.
pub(super) const MARK: (&str, &str) = ("idem_runtime.session", "own");

/// How often each of the two connections is asked for its process.
const ROUNDS: usize = 3;

/// The same where there is a pooler for certain. On a busy one, a connection can get the same session several times running.
const ROUNDS_BEHIND_A_POOLER: usize = 16;

/// More statements than a connection of the store has prepared: names are numbers, and have to be the same on both.
const STATEMENTS: usize = 64;

/// Whether a store of this process has found one.
static FOUND: AtomicBool = AtomicBool::new(false);

/// Warns once in this process, in the first transaction after a store's finding whose driver names what it prepares: no
/// transaction can ask by itself.
pub(crate) fn warn_transactions() {
    static WARNED: Once = Once::new();
    if FOUND.load(Ordering::Relaxed) {
        WARNED.call_once(|| {
            tracing::warn!(
                "a store of this process has found a pooler that gives each transaction another session of PostgreSQL: \
                 handlers with `tx` that connect through it with sqlx or sea-orm can get the answers to others' prepared statements; connect them past it, or in \
                 session mode"
            );
        });
    }
}

/// What a connection is asked first.
pub(super) fn ask(connection: &mut PgConnection) -> Pin<Box<dyn Future<Output = sqlx::Result<()>> + Send + '_>> {
    Box::pin(async move { session(connection).await.map(drop) })
}

/// Where each connection has a session, each answers with the same process every time, and the two with different ones.
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
            // A pooler may give its sessions in turn: those who ask in turn would get the same ones each time.
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

/// A session of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Session {
    process: i32,
    /// Whether a connection of a store began it.
    is_marked: bool,
}

/// Which session answers. Not prepared: behind a pooler, the answer would be anybody's.
async fn session(connection: &mut PgConnection) -> sqlx::Result<Session> {
    let (name, value) = MARK;
    let sql = format!("SELECT pg_backend_pid(), coalesce(current_setting('{name}', true) = '{value}', false)");
    let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
    Ok(Session { process: row.try_get(0)?, is_marked: row.try_get(1)? })
}

/// Whether a pooler that mixes sessions knows which connection has prepared what, as PgBouncer does from 1.21 on with
/// `max_prepared_statements`: each gets its own answers, also the second time, when the statements are known by name.
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
