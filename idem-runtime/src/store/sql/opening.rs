//! Opening a SQL store's connections.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::{ConnectOptions, Connection, Database};

use super::Failure;
use crate::task::timer;

/// The longest that opening a connection may take, because a server that accepts the connection may never answer.
pub(super) const LONGEST_OPENING: Duration = Duration::from_secs(5);

/// The driver's connect options.
pub(super) type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// A future that uses a connection.
type Doing<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// A function that uses one connection.
pub(in crate::store) type Prepare<DB> = for<'c> fn(&'c mut <DB as Database>::Connection) -> Doing<'c, sqlx::Result<()>>;

/// How to find out whether each connection has a session of its own.
pub(in crate::store) struct Comparing<DB: Database> {
    /// Sends a query that shows whether the connection has a session.
    pub(in crate::store) ask: Prepare<DB>,
    pub(in crate::store) compare: Compare<DB>,
}

/// Compares two connections that are open at the same time, or checks one if there is no second.
/// [`ask`](Comparing::ask) has been called for both before.
pub(in crate::store) type Compare<DB> = for<'c> fn(
    &'c mut <DB as Database>::Connection,
    Option<&'c mut <DB as Database>::Connection>,
) -> Doing<'c, Result<Sessions, Failure>>;

/// How the server, or a pooler before it, assigns sessions to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "MySQL's poolers keep sessions apart"))]
pub(in crate::store) enum Sessions {
    /// Each connection has a session of its own.
    Apart,
    /// A pooler gives each transaction any session, but tracks which connection has prepared which statement.
    Kept,
    /// A pooler gives each transaction any session, and mixes up prepared statements.
    Mixed,
    /// There was only one connection, and it seems to have a session of its own.
    Alone,
}

/// How connections are opened.
pub(in crate::store) struct Opening<DB: Database> {
    /// Called anew for each connection, because the password may have changed.
    pub(in crate::store) options: Box<dyn Fn() -> Options<DB> + Send + Sync>,
    pub(in crate::store) prepare: Option<Prepare<DB>>,
    /// If `Some`, the store uses at most one connection until two have been compared.
    pub(in crate::store) comparing: Option<Comparing<DB>>,
    /// Whether the server has no room for another connection.
    pub(in crate::store) is_full: fn(&dyn DatabaseError) -> bool,
}

impl<DB: Database> Opening<DB> {
    pub(super) fn options(&self) -> Options<DB> {
        // The driver would log every statement, with keys and results.
        (self.options)().disable_statement_logging()
    }

    pub(super) async fn open(&self) -> Result<DB::Connection, Failure> {
        let opening = pin!(async {
            let mut connection = self.options().connect().await?;
            if let Some(prepare) = self.prepare {
                prepare(&mut connection).await?;
            }
            Ok::<_, sqlx::Error>(connection)
        });
        let opened = timer::within(|| LONGEST_OPENING, opening).await;
        Ok(opened.ok_or(Failure::NotOpened(LONGEST_OPENING))??)
    }
}
