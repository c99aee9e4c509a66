//! Finding out whether a store's connections are sessions: until then, it uses one.

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

/// How long a pooler may let a connection wait for a session, before it counts as one that has none.
const LONGEST_ANSWER: Duration = Duration::from_secs(3);

/// When two connections are to be compared.
pub(super) struct Due {
    at: Instant,
    /// How long after an attempt that came to nothing there is another one. None before the first.
    pause: Option<Duration>,
}

/// An attempt to compare two connections.
#[derive(Clone, Copy)]
pub(super) enum Attempt {
    First,
    Later,
}

impl Due {
    /// At once.
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), pause: None }
    }

    /// Begins an attempt, if one is due. The next one is due once this one has come to nothing, or as if it had where nobody
    /// ends it.
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

    /// Has the next attempt wait for a pause from now.
    fn put_off(&mut self) {
        self.at = Instant::now() + self.pause.unwrap_or(FULL);
    }
}

impl<DB: Database> Shared<DB> {
    /// Compares the only connection with another one, where that can be had; from then on there can be many. The first time
    /// it is waited for, since the opening of the store is to fail where a pooler mixes answers; later it is got meanwhile.
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
                // In this order: a pooler with one session gives it to who asks first.
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

    /// Another connection, which has answered.
    async fn second(&self, comparing: &Comparing<DB>) -> Result<DB::Connection, Failure> {
        let mut other = self.opening.open().await?;
        let asked = timer::within(|| LONGEST_ANSWER, pin!((comparing.ask)(&mut other))).await;
        asked.ok_or(Failure::TimedOut(LONGEST_ANSWER))??;
        Ok(other)
    }

    /// Has another connection put among the idle ones, while the only one is used: whoever takes that next compares them.
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
