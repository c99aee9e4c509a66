//! What happens to a call that was dropped, or whose caller no longer waits: its ending, carried out in the background.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::patience::{LONGEST_PAUSE, SHORTEST_ATTEMPT, pause, time_to_answer};
use super::request::{completion, release};
use super::unrecorded;
use crate::error::Shown;
use crate::handler::Site;
use crate::protocol::{Key, Leave, Owner, Record, Standing};
use crate::store::IdempotencyStore;
use crate::task::sync::Instant;
use crate::task::sync::runtime::Handle;
use crate::task::{background, quietly, timer};

/// The longest pause before a completion is repeated after its lease is over. It is short, because the next delivery
/// may come at any time.
const LONGEST_LATE_PAUSE: Duration = Duration::from_millis(250);

/// The request that is left to be sent.
#[derive(Clone)]
pub(super) enum Left {
    Complete(Record),
    Leave(Leave),
}

/// The ending of a call that was dropped: the request that is left to be sent, and for how long.
#[derive(Clone)]
pub(super) struct Ending<S> {
    store: S,
    site: &'static Site,
    key: Key,
    owner: Owner,
    fence: u64,
    left: Left,
    lease_over: Instant,
    /// Until when a completion is tried: for one lease more. The store accepts it as long as no other call has taken
    /// the key over.
    until: Instant,
}

impl<S: IdempotencyStore> Ending<S> {
    /// The ending of a call whose lease ends at `deadline`.
    pub(super) fn new(
        store: S,
        site: &'static Site,
        key: Key,
        owner: Owner,
        fence: u64,
        left: Left,
        deadline: Instant,
    ) -> Self {
        let now = Instant::now();
        let lease_over = match left {
            Left::Complete(_) => deadline,
            // The store may have granted the claim, or a renewal that had no answer, as late as now.
            Left::Leave(_) => now + site.lease,
        };
        Self { store, site, key, owner, fence, left, lease_over, until: lease_over.max(now) + site.lease }
    }

    /// Begins it: on this thread if the store needs no runtime, else in the background.
    pub(super) fn begin(self, home: Option<&Handle>) {
        let (site, key) = (self.site, self.key.clone());
        let (in_place, lease_over) = (!self.store.needs_runtime(), self.lease_over);
        if let Err(why) = background::finish(in_place, home, lease_over, move || self.clone().finish()) {
            stays_claimed(site, &key, why);
        }
    }

    /// Returns whether the store answered: the key was left, or another call holds it by now.
    async fn finish(self) -> bool {
        if Instant::now() < self.lease_over && self.try_until(self.lease_over, LONGEST_PAUSE).await {
            return true;
        }
        match &self.left {
            Left::Complete(record) => self.complete_late(record).await,
            Left::Leave(_) => {
                stays_claimed(self.site, &self.key, "the store did not answer, or refused");
                false
            }
        }
    }

    /// Tries to record the outcome after its lease is over, because a known outcome is better than an unknown one.
    async fn complete_late(&self, record: &Record) -> bool {
        let (scope, key) = (self.site.scope, Shown(Some(&self.key)));
        let mut place = unrecorded::wait(record.as_bytes().len());
        let mut completion = pin!(self.try_until(self.until, LONGEST_LATE_PAUSE));
        let recorded = poll_fn(|cx| match place.poll_given_up(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => completion.as_mut().poll(cx).map(Some),
        });
        match recorded.await {
            Some(true) => return true,
            Some(false) => tracing::warn!(
                scope,
                key = %key,
                "the store did not take a result, neither within its lease nor within one more: a redelivery is handled as \
                 after a crash"
            ),
            None => tracing::warn!(
                scope,
                key = %key,
                "more than 64 MiB of results wait for their store, so the oldest is given up: a redelivery is handled as \
                 after a crash"
            ),
        }
        false
    }

    /// Sends the request until the store answers or `until` is over, at least once. Returns whether the store answered.
    async fn try_until(&self, until: Instant, longest_pause: Duration) -> bool {
        let mut failures = 0;
        while !self.try_once(until).await {
            failures += 1;
            let pause = pause(failures).min(longest_pause);
            if Instant::now() + pause >= until {
                return false;
            }
            timer::sleep(pause).await;
        }
        true
    }

    async fn try_once(&self, until: Instant) -> bool {
        let Self { store, site, key, owner, fence, left, .. } = self;
        // Nobody waits for this ending, so even with a short lease each attempt has some time.
        let time = || time_to_answer(until, site).max(SHORTEST_ATTEMPT);
        let answer = match left {
            Left::Complete(record) => {
                let complete = pin!(store.complete(completion(site, key, *owner, *fence, record)));
                timer::within(time, complete).await
            }
            Left::Leave(how) => {
                let release = pin!(store.release(release(site, key, *owner, *fence, *how)));
                timer::within(time, release).await
            }
        };
        if let Some(Ok(Standing::Gone)) = answer {
            site.warn_of_lost_row(key);
        }
        matches!(answer, Some(Ok(_)))
    }
}

fn stays_claimed(site: &'static Site, key: &Key, why: &'static str) {
    quietly(|| {
        tracing::warn!(scope = site.scope, key = %Shown(Some(key)), "{why}: a key stays claimed until its lease ends");
    });
}
