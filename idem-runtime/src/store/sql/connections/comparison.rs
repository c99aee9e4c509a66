//! Finding out whether each of a store's connections has a session of its own. Until that is known, the store uses one
//! connection.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::Database;
use tokio::runtime::Id;

use super::{Connected, FULL, Shared};
use crate::store::sql::Failure;
use crate::store::sql::opening::{Comparing, LONGEST_OPENING, Sessions};
use crate::task::timer;

/// The longest pause between attempts to get a connection for the comparison.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a pooler may let a connection wait for a session. After that, the store counts it as no second connection.
const LONGEST_ANSWER: Duration = Duration::from_secs(3);

/// When two connections have to be compared.
pub(super) struct Due {
    at: Instant,
    /// The pause after a failed attempt. `None` before the first attempt.
    pause: Option<Duration>,
}

/// An attempt to compare two connections.
#[derive(Clone, Copy)]
pub(super) enum Attempt {
    First,
    Later,
}

impl Due {
    /// Due at once.
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), pause: None }
    }

    /// Begins an attempt, if one is due. The next attempt is due a pause after this one has failed, or after it should
    /// have ended if nobody reports its end.
    pub(super) fn begin(&mut self) -> Option<Attempt> {
        if self.at > Instant::now() {
            return None;
        }
        let attempt = if self.pause.is_some() { Attempt::Later } else { Attempt::First };
        self.pause = Some(self.pause.map_or(FULL, |pause| (pause * 2).min(LONGEST_PAUSE)));
        self.put_off();
        self.at += LONGEST_OPENING + LONGEST_ANSWER;
        Some(attempt)
    }

    /// Makes the next attempt due a pause from now.
    fn put_off(&mut self) {
        self.at = Instant::now() + self.pause.unwrap_or(FULL);
    }
}

impl<DB: Database> Shared<DB> {
    /// Compares the only connection with a second one, if the server gives one. From then on the store may use many.
    /// The first attempt waits for the second connection, because opening the store has to fail if a pooler mixes up
    /// answers. A later attempt has it opened in the background.
    pub(super) async fn compare(
        self: &Arc<Self>,
        only: &mut Connected<DB>,
        comparing: &Comparing<DB>,
        attempt: Attempt,
    ) -> Result<(), Failure> {
        let idle = self.shelf().take(only.home);
        let mut other = match (idle, attempt) {
            (Some(other), _) => Ok(other),
            (None, Attempt::First) => {
                // In this order, because a pooler with one session gives it to the connection that asks first.
                (comparing.ask)(&mut only.connection).await?;
                self.second(comparing).await
            }
            (None, Attempt::Later) => {
                self.seek(only.home);
                return Ok(());
            }
        };
        match (comparing.compare)(&mut only.connection, other.as_mut().ok()).await? {
            sessions @ (Sessions::Apart | Sessions::Kept) => {
                self.are_apart.store(sessions == Sessions::Apart, Ordering::Release);
                self.shelf().due = None;
                other.into_iter().for_each(|other| self.put_idle(other, only.home));
                self.permits.add_permits(self.most - 1);
                self.spare.add_permits(self.most);
                Ok(())
            }
            Sessions::Mixed => {
                self.permits.close();
                self.spare.close();
                Err(Failure::Pooled)
            }
            Sessions::Alone => {
                other.err().iter().for_each(|failure| self.goes_on_alone(failure));
                Ok(())
            }
        }
    }

    /// Opens a second connection, and waits until it has answered.
    async fn second(&self, comparing: &Comparing<DB>) -> Result<DB::Connection, Failure> {
        let mut other = self.opening.open().await?;
        let asked = timer::within(|| LONGEST_ANSWER, pin!((comparing.ask)(&mut other))).await;
        asked.ok_or(Failure::TimedOut(LONGEST_ANSWER))??;
        Ok(other)
    }

    /// Opens a second connection in the background, while the only one is used, and puts it among the idle ones. The
    /// next caller that takes the only connection compares the two.
    fn seek(self: &Arc<Self>, home: Option<Id>) {
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let Some(comparing) = &shared.opening.comparing else { return };
            match shared.second(comparing).await {
                Ok(other) => {
                    shared.put_idle(other, home);
                    shared.shelf().due.iter_mut().for_each(|due| due.at = Instant::now());
                }
                Err(failure) => shared.goes_on_alone(&failure),
            }
        });
    }

    fn goes_on_alone(&self, failure: &Failure) {
        self.shelf().due.iter_mut().for_each(Due::put_off);
        self.makes_do_with_fewer(failure);
    }
}
