//! What a case works with: callers on handles of the store.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::clock::Clock;
use super::verdict::{Plain, Stop, Verdict, answer, ensure, equal, failed, same_record, stands};
use crate::protocol::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, Fingerprint, Grant, Key, Leave, Orphans, Owner, Previous,
    Record, ReleaseRequest, RenewRequest, Standing,
};
use crate::store::admin::Entry;
use crate::store::{AnyStore, IdempotencyAdmin, IdempotencyStore};
use crate::task::timer;

/// How many sequences the differential case runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) sequences: u64,
    pub(super) at_most: Duration,
    pub(super) seed: u64,
}

/// A lease that doesn't end while a case runs.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// Makes the handles: it has one source for each process that the suite simulates.
pub(super) struct Handles {
    pub(super) makers: Vec<Box<dyn Fn() -> AnyStore + Send + Sync>>,
    pub(super) next: AtomicUsize,
}

/// What a case works with.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) handles: Arc<Handles>,
    /// The scope of this case.
    pub(super) scope: String,
    /// The lease and the ttl whose end the cases wait for.
    pub(super) short: Duration,
    pub(super) clock: Clock,
    pub(super) differential: Settings,
}

impl Bench {
    /// A new handle of the store.
    pub(super) fn handle(&self) -> AnyStore {
        let makers = &self.handles.makers;
        makers[self.handles.next.fetch_add(1, Ordering::Relaxed) % makers.len()]()
    }

    /// A call that wants the key `order-1`.
    pub(super) fn caller(&self) -> Caller {
        self.caller_of("order-1")
    }

    /// A call that wants this key of the case's scope.
    pub(super) fn caller_of(&self, key: impl AsRef<[u8]>) -> Caller {
        self.caller_in(&self.scope, key)
    }

    /// A call that wants this key of this scope.
    pub(super) fn caller_in(&self, scope: &str, key: impl AsRef<[u8]>) -> Caller {
        Caller {
            store: self.handle(),
            scope: scope.to_owned(),
            // The cases' keys are neither empty nor too long.
            key: Key::from_bytes(key.as_ref()).unwrap_or_else(Key::empty),
            owner: Owner::random(),
            lease: LONG,
            fingerprint: None,
            orphans: Orphans::Take,
            retain: Some(Duration::from_secs(7 * 24 * 60 * 60)),
        }
    }

    /// The store's operator interface. If it has none, the case is skipped.
    pub(super) fn admin(&self) -> Verdict<Arc<dyn IdempotencyAdmin>> {
        self.handle().admin().ok_or(Stop::Skipped)
    }

    /// Returns once a short lease or ttl that was granted before the call is over.
    pub(super) async fn past_the_short(&self) {
        timer::sleep(self.short + self.margin()).await;
    }

    /// How much rounding of a clock a case allows.
    pub(super) fn margin(&self) -> Duration {
        (self.short / 10).max(Duration::from_millis(20))
    }

    /// Makes `order-1` an orphan: its holder leaves while its body runs. Returns the holder and its grant.
    pub(super) async fn orphan(&self) -> Verdict<(Caller, Grant)> {
        let holder = self.caller();
        let grant = holder.granted("the first claim").await?;
        holder.leaves("the holder panics", grant.fence, Leave::OutcomeUnknown, Standing::Held).await?;
        Ok((holder, grant))
    }

    /// Makes `order-1` a running key whose holder didn't renew until its lease was over.
    pub(super) async fn dead(&self) -> Verdict<(Caller, Grant)> {
        let holder = self.caller().lease(self.short);
        let grant = holder.granted("the first claim").await?;
        self.past_the_short().await;
        Ok((holder, grant))
    }

    /// A completed key `order-1`.
    pub(super) async fn completed(&self, result: &Record) -> Verdict<(Caller, Grant)> {
        let holder = self.caller();
        let grant = holder.granted("the first claim").await?;
        holder.completes("the completion", grant.fence, result, Standing::Held).await?;
        Ok((holder, grant))
    }

    /// The key `order-1` as an operator sees it.
    pub(super) async fn entry(&self, step: &str) -> Verdict<(Entry, Option<Record>)> {
        let seen = answer(step, self.admin()?.get(&self.scope, &self.caller().key).await)?;
        seen.ok_or_else(|| failed(step, "the key", Plain("None")))
    }
}

/// A record with these bytes.
pub(super) fn record(bytes: impl AsRef<[u8]>) -> Record {
    Record::from_bytes(bytes.as_ref())
}

/// Fails if the store answered at once, right before the claim, and the claim's answer is another one.
pub(super) fn agrees(step: impl Display, at_once: Option<Completed>, claimed: &ClaimAnswer) -> Verdict {
    /// A ttl that ends this soon may have ended between the two.
    const SOON: Duration = Duration::from_millis(50);
    match at_once {
        Some(Completed { remaining, record, .. }) if remaining.is_zero() || remaining > SOON => equal(
            format!("{step}: what `completed` answered before it"),
            ClaimAnswer::Completed(record),
            claimed.clone(),
        ),
        _ => Ok(()),
    }
}

/// One call of a handler: an owner, on a handle of its own.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) store: AnyStore,
    pub(super) scope: String,
    pub(super) key: Key,
    pub(super) owner: Owner,
    pub(super) lease: Duration,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) orphans: Orphans,
    pub(super) retain: Option<Duration>,
}

/// The settings of a caller.
impl Caller {
    pub(super) fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    pub(super) fn fingerprint(mut self, of: u8) -> Self {
        self.fingerprint = Some(Fingerprint([of; 16]));
        self
    }

    /// Claims as with `on_crash = "park"`.
    pub(super) fn parking(mut self) -> Self {
        self.orphans = Orphans::Refuse;
        self.retain = None;
        self
    }

    pub(super) fn request(&self) -> ClaimRequest<'_> {
        let request = ClaimRequest::new(&self.scope, &self.key, self.owner, self.lease);
        ClaimRequest { fingerprint: self.fingerprint, orphans: self.orphans, retain: self.retain, ..request }
    }
}

/// The requests of a caller, and the answers that it expects.
impl Caller {
    pub(super) async fn claim(&self, step: impl Display) -> Verdict<ClaimAnswer> {
        let at_once = self.store.completed(&self.request());
        let claimed = answer(&step, self.store.claim(self.request()).await)?;
        agrees(step, at_once, &claimed)?;
        Ok(claimed)
    }

    pub(super) async fn granted(&self, step: impl Display) -> Verdict<Grant> {
        match self.claim(&step).await? {
            ClaimAnswer::Acquired(grant) => Ok(grant),
            other => Err(failed(step, "Acquired", other)),
        }
    }

    pub(super) async fn granted_as(&self, step: impl Display, attempt: u32, previous: Previous) -> Verdict<Grant> {
        let grant = self.granted(&step).await?;
        let expected = format!("Acquired with attempt {attempt} and {previous:?}");
        ensure((grant.attempt, grant.previous) == (attempt, previous), step, expected, grant)?;
        Ok(grant)
    }

    /// Claims, and expects the grant of a key that nobody held before.
    pub(super) async fn granted_first(&self, step: impl Display) -> Verdict<Grant> {
        self.granted_as(step, 1, Previous::First).await
    }

    pub(super) async fn told(&self, step: impl Display, wanted: ClaimAnswer) -> Verdict {
        equal(&step, self.claim(&step).await?, wanted)
    }

    /// Claims, and expects that another call holds a lease of at most [`LONG`]. Returns what is left of it.
    pub(super) async fn held_off(&self, step: impl Display) -> Verdict<Duration> {
        match self.claim(&step).await? {
            // A store may round to the resolution of its clock.
            ClaimAnswer::InProgress { remaining }
                if remaining > Duration::ZERO && remaining <= LONG + Duration::from_millis(20) =>
            {
                Ok(remaining)
            }
            other => Err(failed(step, "InProgress, with more than nothing and at most the lease remaining", other)),
        }
    }

    /// Claims, and expects this record.
    pub(super) async fn replayed(&self, step: impl Display, wanted: &Record) -> Verdict {
        match self.claim(&step).await? {
            ClaimAnswer::Completed(found) => same_record(step, &found, wanted),
            other => Err(failed(step, format!("Completed({wanted:?})"), other)),
        }
    }

    pub(super) async fn renews(&self, step: impl Display, fence: u64, wanted: Standing) -> Verdict {
        let request = self.request();
        stands(&step, answer(&step, self.store.renew(RenewRequest::new(&request, fence)).await)?, wanted)
    }

    pub(super) async fn completes(&self, step: impl Display, fence: u64, record: &Record, wanted: Standing) -> Verdict {
        self.completes_for(step, fence, record, LONG, wanted).await
    }

    pub(super) async fn completes_for(
        &self,
        step: impl Display,
        fence: u64,
        record: &Record,
        ttl: Duration,
        wanted: Standing,
    ) -> Verdict {
        let request = self.request();
        let request = CompleteRequest::new(&request, fence, record, ttl);
        stands(&step, answer(&step, self.store.complete(request).await)?, wanted)
    }

    pub(super) async fn leaves(&self, step: impl Display, fence: u64, how: Leave, wanted: Standing) -> Verdict {
        let request = self.request();
        stands(&step, answer(&step, self.store.release(ReleaseRequest::new(&request, fence, how)).await)?, wanted)
    }

    /// Leaves before its body ran, without knowing whether its claim was granted.
    pub(super) async fn gives_up(&self, step: impl Display) -> Verdict {
        self.leaves(step, 0, Leave::NotRun, Standing::Held).await
    }
}
