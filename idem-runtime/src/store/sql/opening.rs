//! How a SQL store's connections are opened.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::{ConnectOptions, Connection, Database};

use super::Failure;
use crate::task::timer;

/// How long opening a connection takes at most: whatever listens at the address may never say a word.
pub(super) const LONGEST_OPENING: Duration = Duration::from_secs(5);

/// As the driver has them.
pub(super) type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// What is done with a connection.
type Doing<'c, T> = Pin<Box<dyn Future<Output = T> + Send + 'c>>;

/// What is done with a connection on its own.
pub(in crate::store) type Prepare<DB> = for<'c> fn(&'c mut <DB as Database>::Connection) -> Doing<'c, sqlx::Result<()>>;

/// How it is found whether each connection has a session of its own.
pub(in crate::store) struct Comparing<DB: Database> {
    /// Asks a connection whatever shows that it has a session.
    pub(in crate::store) ask: Prepare<DB>,
    pub(in crate::store) compare: Compare<DB>,
}

/// What two connections that are open at once are, if there are two. Both have been [asked](Comparing::ask) before.
pub(in crate::store) type Compare<DB> = for<'c> fn(
    &'c mut <DB as Database>::Connection,
    Option<&'c mut <DB as Database>::Connection>,
) -> Doing<'c, Result<Sessions, Failure>>;

/// What a server makes of two connections, or a pooler before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "MySQL's poolers keep sessions apart"))]
pub(in crate::store) enum Sessions {
    /// Each has a session of its own.
    Apart,
    /// A pooler gives each transaction any session, and keeps apart what each connection has prepared.
    Kept,
    /// A pooler gives each transaction any session, and mixes up what is prepared.
    Mixed,
    /// There was one connection only, and it looks as if it had a session.
    Alone,
}

/// How connections are opened.
pub(in crate::store) struct Opening<DB: Database> {
    /// Asked anew for each: passwords change.
    pub(in crate::store) options: Box<dyn Fn() -> Options<DB> + Send + Sync>,
    pub(in crate::store) prepare: Option<Prepare<DB>>,
    /// Where it is to be asked, at most one connection is used until it is known.
    pub(in crate::store) comparing: Option<Comparing<DB>>,
    /// Whether the server has no room for another connection.
    pub(in crate::store) is_full: fn(&dyn DatabaseError) -> bool,
}

impl<DB: Database> Opening<DB> {
    pub(super) fn options(&self) -> Options<DB> {
        // The driver's log of every statement would show keys and results.
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
