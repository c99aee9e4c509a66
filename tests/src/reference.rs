//! A reference store, as small as a store can be, and the ways to break it. Each fault was found in a real system, or is one that
//! a rule of the protocol prevents.

mod fault;

use std::collections::BTreeMap;
use std::future::Ready;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use idem_runtime::IdempotencyStore;
use idem_runtime::admin::{AdminFuture, Entry, Filter, IdempotencyAdmin, Resolution, Stats};
use idem_runtime::protocol::{self, Micros, Next, Operation, Reply, Row, State};
use idem_runtime::store::{
    ClaimAnswer, ClaimRequest, CompleteRequest, Completed, Key, Leave, Owner, Previous, Record, ReleaseRequest,
    RenewRequest, Standing, StoreError, WaitRequest,
};
use tokio::sync::Notify;

pub use self::fault::Fault;

type Place = (String, Vec<u8>);
type Rows = BTreeMap<Place, (Row, Option<Record>)>;

/// A store in a map under one lock.
pub struct Reference {
    rows: Arc<Mutex<Rows>>,
    fault: Option<Fault>,
    /// Notified of every write.
    changed: Arc<Notify>,
    started: (Instant, SystemTime),
    handles: Arc<AtomicI64>,
    /// How far the clock of this handle is ahead of the right time.
    skew: i64,
    /// How far the clock of all handles was moved, in microseconds.
    ahead: Arc<AtomicU64>,
}

impl Clone for Reference {
    fn clone(&self) -> Self {
        const DAY: i64 = 24 * 60 * 60 * 1_000_000;
        let number = self.handles.fetch_add(1, Ordering::Relaxed);
        let skew = if self.fault == Some(Fault::ClientClock) { (number % 3 - 1) * DAY } else { 0 };
        Self {
            rows: Arc::clone(&self.rows),
            changed: Arc::clone(&self.changed),
            handles: Arc::clone(&self.handles),
            ahead: Arc::clone(&self.ahead),
            skew,
            ..*self
        }
    }
}

impl Reference {
    /// A store without a fault.
    pub fn new() -> Self {
        let started = (Instant::now(), SystemTime::now());
        Self {
            rows: Arc::default(),
            fault: None,
            changed: Arc::default(),
            started,
            handles: Arc::default(),
            skew: 0,
            ahead: Arc::default(),
        }
    }

    /// A store with this fault.
    pub fn broken(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::new() }
    }

    /// Sets the clock so far ahead of the machine's.
    pub fn set_clock_ahead(&self, ahead: Duration) -> Ready<()> {
        self.ahead.store(ahead.as_micros() as u64, Ordering::Relaxed);
        std::future::ready(())
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn now(&self) -> Micros {
        let (monotonic, wall) = self.started;
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + monotonic.elapsed();
        (since.as_micros() as Micros + self.ahead.load(Ordering::Relaxed)).saturating_add_signed(self.skew)
    }

    fn place(&self, scope: &str, key: &Key) -> Place {
        let (mut scope, mut key) = (scope.to_owned(), key.as_bytes().to_vec());
        match self.fault {
            Some(Fault::FoldedKeys) => key.make_ascii_lowercase(),
            Some(Fault::NulEndsKeys) => key = key.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
            Some(Fault::CutKeys) => key.truncate(255),
            Some(Fault::CutScopes) => scope.truncate(100),
            Some(Fault::JoinedScopeAndKey) => {
                key = [scope.as_bytes(), b":", &key].concat();
                scope = String::new();
            }
            _ => {}
        }
        (scope, key)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the row, calls the state machine, and writes the row that it returns.
    fn apply(&self, scope: &str, key: &Key, operation: Operation<'_>, result: Option<&Record>) -> Reply {
        let place = self.place(scope, key);
        let mut rows = self.lock();
        let (row, kept) = rows.get(&place).cloned().unzip();
        let next = self.step(row, operation);
        self.write(&mut rows, place, next.row, kept.flatten(), result);
        self.changed.notify_waiters();
        next.reply
    }

    fn write(&self, rows: &mut Rows, place: Place, row: Option<Row>, kept: Option<Record>, result: Option<&Record>) {
        let Some(row) = row else { return };
        if self.has(Fault::FailureDeletes) && row.state == State::Free && row.previous == Previous::AfterFailure {
            rows.remove(&place);
            return;
        }
        let result = result.filter(|_| kept.is_none() || !self.has(Fault::ReplacementKeepsRecord));
        let record = if row.state == State::Done { result.cloned().or(kept) } else { None };
        let record = match record {
            Some(record) if self.has(Fault::CutRecords) && record.as_bytes().len() > 255 => {
                Some(Record::from_bytes(&record.as_bytes()[..255]))
            }
            record => record,
        };
        rows.insert(place, (row, record));
    }

    /// Calls the state machine, and changes its result as the fault says.
    fn step(&self, mut row: Option<Row>, operation: Operation<'_>) -> Next {
        let now = self.now();
        let nobody = Owner([0; 16]);
        let same = |reply| Next { row: None, reply };
        let Some(fault) = self.fault else { return protocol::step(row.as_ref(), operation, now) };
        let over = row.is_some_and(|row| row.until <= now);
        let mut restored = None;
        match (fault, &mut row, operation) {
            (Fault::UnfencedEnding, Some(row), Operation::Complete(request)) => {
                let mut request = *request;
                (request.owner, request.fence) = (row.owner, row.fence);
                return protocol::step(Some(row), Operation::Complete(&request), now);
            }
            (Fault::UnfencedEnding | Fault::ReleaseByAnyone, Some(row), Operation::Release(request))
                if request.how != Leave::NotRun =>
            {
                let mut request = *request;
                (request.owner, request.fence) = (row.owner, row.fence);
                return protocol::step(Some(row), Operation::Release(&request), now);
            }
            (Fault::NoExpiry, Some(row), _) if row.state == State::Done => row.until = Micros::MAX,
            (Fault::EndlessLease, Some(row), _) if row.state == State::Running => row.until = now + 1_000_000,
            (Fault::RenewalRevives, Some(row), Operation::Renew(_)) if row.state == State::Unknown => {
                row.state = State::Running;
            }
            (Fault::UpsertingCompletion, found, Operation::Complete(request))
                if found.is_none_or(|row| row.state == State::Done && over) =>
            {
                let claim = ClaimRequest::new(request.scope, request.key, request.owner, Duration::from_secs(1));
                let claimed = protocol::step(None, Operation::Claim(&claim), now);
                let mut row = claimed.row.expect("a claim of an absent key writes a row");
                row.fence = request.fence;
                return protocol::step(Some(&row), Operation::Complete(request), now);
            }
            (Fault::RepeatForgottenAfterTtl, Some(row), Operation::Complete(_)) if row.state == State::Done && over => {
                return same(Reply::Lost);
            }
            (Fault::StrictExpiry, Some(row), Operation::Complete(_)) if row.state == State::Running && over => {
                return same(Reply::Lost);
            }
            (Fault::EndedForgotten, Some(row), Operation::Claim(_)) if row.state != State::Running => {
                (row.owner, row.ended) = (nobody, protocol::Ended::default());
            }
            (Fault::EndedHasNoSlots, Some(row), _) => row.ended = protocol::Ended::default(),
            (Fault::FingerprintUncheckedOnOrphans, Some(row), Operation::Claim(_)) if row.is_orphan(now) => {
                restored = row.fingerprint.take();
            }
            (Fault::NotRunForgetsDoubt, Some(row), Operation::Release(request)) if request.how == Leave::NotRun => {
                row.doubt = None;
            }
            (Fault::NotRunLeavesNoTombstone, None, Operation::Release(request)) if request.how == Leave::NotRun => {
                return same(Reply::Held);
            }
            (Fault::NotRunFreesAnyone, Some(row), Operation::Release(request)) if request.how == Leave::NotRun => {
                row.owner = request.owner;
            }
            (Fault::AttemptKept, Some(row), Operation::Release(request))
                if request.how == Leave::NotRun && row.state == State::Running =>
            {
                row.attempt += 1;
            }
            (Fault::ReleaseOfDone, Some(row), Operation::Release(_)) if row.state == State::Done => {
                row.state = State::Running;
            }
            (Fault::ResolutionIsFinal, Some(row), Operation::ResolveExecuted { .. }) if row.state == State::Done => {
                return same(Reply::Lost);
            }
            (Fault::ResolutionReplacesAnyRecord, Some(row), Operation::ResolveExecuted { .. }) => {
                row.doubt = row.doubt.or(Some(row.fence));
            }
            _ => {}
        }
        let mut next = protocol::step(row.as_ref(), operation, now);
        let repeated = matches!((row, operation), (Some(row), Operation::Claim(request))
            if row.state == State::Running && row.owner == request.owner);
        match (fault, &mut next.row, &mut next.reply) {
            (Fault::ForgottenFence, Some(written), Reply::Acquired(grant)) if !repeated => {
                let anew = row.is_none_or(|row| matches!(row.state, State::Done | State::Free));
                let fence = if anew { 1 } else { row.map_or(0, |row| row.fence) + 1 };
                (written.fence, grant.fence) = (fence, fence);
            }
            (Fault::EndedHasThreeSlots, Some(written), _) => {
                written.ended = protocol::Ended::from_owners(written.ended.iter().take(3));
            }
            (Fault::RepeatedClaimGrowsFence, Some(written), Reply::Acquired(grant)) if repeated => {
                (written.fence, grant.fence) = (written.fence + 1, grant.fence + 1);
            }
            (Fault::RepeatedClaimIsFirst, _, Reply::Acquired(grant)) if repeated => grant.previous = Previous::First,
            (Fault::WholeSeconds, Some(written), _) if written.until > now => {
                written.until = written.until.next_multiple_of(1_000_000) + 1_000_000;
            }
            (Fault::CompletedInFlight, _, reply @ Reply::InProgress { .. }) => *reply = Reply::Completed,
            (Fault::FingerprintDropped, Some(written), _) if written.state == State::Done => written.fingerprint = None,
            (Fault::ResolutionKeepsFence, Some(written), _)
                if matches!(operation, Operation::ResolveExecuted { .. }) =>
            {
                written.fence -= 1;
            }
            (Fault::CompletionKeepsDoubt, Some(written), _) if matches!(operation, Operation::Complete(_)) => {
                written.doubt = row.and_then(|row| row.doubt);
            }
            (Fault::PurgedBeforeItsFence, Some(written), _) => {
                written.purge_at = written.purge_at.map(|at| at - written.fence.saturating_sub(now));
            }
            (Fault::NotRunLeavesAnOldRow, Some(written), Reply::Held) if matches!(operation, Operation::Release(request) if request.how == Leave::NotRun) =>
            {
                written.purge_at = row.map_or(written.purge_at, |row| row.purge_at);
            }
            (Fault::GoneForLost, _, reply @ Reply::Lost) => *reply = Reply::Gone,
            (Fault::NothingRemains, _, Reply::InProgress { remaining }) => *remaining = Duration::ZERO,
            (Fault::FingerprintUncheckedOnOrphans, Some(written), Reply::Acquired(_)) => {
                written.fingerprint = written.fingerprint.or(restored);
            }
            _ => {}
        }
        next
    }

    /// The faulty claim that reads the row in one step and writes it in another.
    async fn claim_in_two_steps(&self, request: &ClaimRequest<'_>) -> ClaimAnswer {
        let place = self.place(request.scope, request.key);
        let (row, kept) = self.lock().get(&place).cloned().unzip();
        let next = self.step(row, Operation::Claim(request));
        tokio::time::sleep(Duration::from_millis(2)).await;
        let kept: Option<Record> = kept.flatten();
        self.write(&mut self.lock(), place, next.row, kept.clone(), None);
        next.reply.into_claim(|| kept)
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl IdempotencyStore for Reference {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let orphan = || {
            let place = self.place(request.scope, request.key);
            self.lock().get(&place).is_some_and(|(row, _)| row.is_orphan(self.now()))
        };
        if self.has(Fault::CheckThenAct) || self.has(Fault::NonAtomicTakeover) && orphan() {
            return Ok(self.claim_in_two_steps(&request).await);
        }
        let reply = self.apply(request.scope, request.key, Operation::Claim(&request), None);
        let place = self.place(request.scope, request.key);
        Ok(reply.into_claim(|| self.lock().get(&place).and_then(|(_, record)| record.clone())))
    }

    async fn renew(&self, request: RenewRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Renew(&request), None).into_standing())
    }

    async fn complete(&self, request: CompleteRequest<'_>) -> Result<Standing, StoreError> {
        let (scope, key) = (request.scope, request.key);
        // A repeated completion writes nothing, so the record stays.
        Ok(self.apply(scope, key, Operation::Complete(&request), Some(request.record)).into_standing())
    }

    async fn release(&self, request: ReleaseRequest<'_>) -> Result<Standing, StoreError> {
        Ok(self.apply(request.scope, request.key, Operation::Release(&request), None).into_standing())
    }

    /// Only with a fault does it answer at once.
    fn completed(&self, request: &ClaimRequest<'_>) -> Option<Completed> {
        let (row, record) = self.lock().get(&self.place(request.scope, request.key)).cloned()?;
        let remaining = row.until.saturating_sub(self.now());
        let answers = match self.fault {
            Some(Fault::AtOnceForAnyFingerprint) => remaining > 0,
            Some(Fault::AtOnceBeyondTtl) => row.fingerprint == request.fingerprint,
            _ => false,
        };
        let record = record.filter(|_| answers && row.state == State::Done)?;
        Some(Completed::new(record, Duration::from_micros(remaining), row.fence, row.fingerprint))
    }

    async fn wait(&self, request: WaitRequest<'_>) -> Result<(), StoreError> {
        if self.has(Fault::LostWakeUp) {
            let place = self.place(request.scope, request.key);
            let running = self.lock().get(&place).is_some_and(|(row, _)| row.state == State::Running);
            if running {
                tokio::time::sleep(Duration::from_millis(1)).await;
                // At the end of the time that it was given, it returns, as a sound store does.
                let _ = tokio::time::timeout(request.at_most, self.changed.notified()).await;
            }
            return Ok(());
        }
        let pause = if self.has(Fault::DeafWait) { Duration::MAX } else { Duration::from_millis(20) };
        tokio::time::sleep(pause.min(request.at_most)).await;
        Ok(())
    }

    fn admin(&self) -> Option<Arc<dyn IdempotencyAdmin>> {
        Some(Arc::new(self.clone()))
    }
}

fn ready<T: Send + 'static>(value: T) -> AdminFuture<'static, T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl IdempotencyAdmin for Reference {
    fn get<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Option<(Entry, Option<Record>)>> {
        let found = self.lock().get(&self.place(scope, key)).cloned();
        let entry = |row| Entry::new(scope.to_owned(), key.clone(), row, self.now());
        ready(found.map(|(row, record)| (entry(row), record)))
    }

    fn list(&self, filter: Filter) -> AdminFuture<'_, Vec<Entry>> {
        let (rows, now) = (self.lock(), self.now());
        let entries = rows.iter().filter_map(|((scope, key), (row, _))| {
            Key::from_bytes(key).map(|key| Entry::new(scope.clone(), key, *row, now))
        });
        ready(entries.filter(|entry| filter.accepts(entry)).take(filter.limit).collect())
    }

    fn resolve<'a>(&'a self, scope: &'a str, key: &'a Key, resolution: Resolution) -> AdminFuture<'a, Standing> {
        let (operation, record) = match resolution {
            Resolution::Executed { record, ttl } => (Operation::ResolveExecuted { ttl }, Some(record)),
            Resolution::NotExecuted => (Operation::ResolveNotExecuted, None),
        };
        ready(self.apply(scope, key, operation, record.as_ref()).into_standing())
    }

    fn forget<'a>(&'a self, scope: &'a str, key: &'a Key) -> AdminFuture<'a, Standing> {
        if self.has(Fault::ForgetDeletes) {
            let found = self.lock().remove(&self.place(scope, key));
            return ready(if found.is_some() { Standing::Held } else { Standing::Lost });
        }
        ready(self.apply(scope, key, Operation::Forget, None).into_standing())
    }

    fn stats(&self) -> AdminFuture<'_, Stats> {
        let mut stats = Stats::default();
        for (row, _) in self.lock().values() {
            stats.count(row, self.now());
        }
        ready(stats)
    }

    fn sweep(&self, at_most: usize) -> AdminFuture<'_, usize> {
        let (mut rows, now) = (self.lock(), self.now());
        let sweepable = |row: &Row| match self.fault {
            Some(Fault::SweepEatsOrphans) => row.is_sweepable(now) || row.is_orphan(now),
            Some(Fault::SweepIgnoresLinger) => match row.state {
                State::Done => row.until <= now,
                State::Free => true,
                _ => row.is_sweepable(now),
            },
            _ => row.is_sweepable(now),
        };
        let swept: Vec<_> =
            rows.iter().filter(|(_, (row, _))| sweepable(row)).map(|(place, _)| place.clone()).take(at_most).collect();
        for place in &swept {
            rows.remove(place);
        }
        ready(swept.len())
    }
}
