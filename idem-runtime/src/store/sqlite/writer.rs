//! The thread that writes. All waiting requests go into one transaction, so that many callers share one sync.

use std::sync::Arc;
use std::time::Instant;

use super::failure::Failure;
use super::file::File;
use super::job::{Answer, Ask, Job};
use super::look::look;
use super::options::{Durability, SqliteOptions};
use super::order::Order;
use super::pace::Pace;
use super::queue::{Queue, Work};
use super::route::Route;
use super::rows::{self, RecordWrite};
use super::session::Session;
use super::sweep;
use crate::protocol::{self, Ended, Micros, Reply, Row, State};
use crate::store::notifiers::Notifiers;
use crate::store::{Owner, Previous, clock};

/// How many requests one transaction carries at most. It bounds how long the first one waits for the last one.
const BATCH: usize = 512;

pub(super) struct Writer {
    session: Session,
    pub(super) notifiers: Arc<Notifiers>,
    route: Arc<Route>,
}

impl Writer {
    pub(super) fn new(file: File, options: SqliteOptions, notifiers: Arc<Notifiers>, route: Arc<Route>) -> Self {
        Self { session: Session::new(file, options), notifiers, route }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self, queue: &Queue<Order>) {
        let mut pace = Pace::new(self.session.options.sweep_interval, Instant::now());
        let mut orders = Vec::new();
        let mut jobs = Vec::new();
        loop {
            if let Work::Closed = queue.drain(&mut orders, BATCH, pace.next()) {
                return;
            }
            for order in orders.drain(..) {
                match order {
                    Order::Job(job) => jobs.push(job),
                    Order::Sweep(asked) => pace.ask(asked),
                }
            }
            if !jobs.is_empty() {
                pace.worked();
                self.answer_alone(&mut jobs);
            }
            if !jobs.is_empty() {
                self.carry_out(&mut jobs);
            }
            let begun = Instant::now();
            if pace.next().is_some_and(|turn| turn <= begun) {
                let at_most = pace.at_most(self.session.options.sweep_batch);
                let swept = sweep::sweep(&mut self.session, at_most);
                pace.turned(swept, begun, Instant::now());
            }
        }
    }

    /// If the only request is a claim whose answer needs no write, answers it without a transaction, so without the
    /// write lock.
    #[expect(clippy::vec_box, reason = "as in `carry_out`")]
    fn answer_alone(&self, jobs: &mut Vec<Box<Job>>) {
        let [job] = &jobs[..] else { return };
        if job.is_claim()
            && let Ok(Some(answer)) = look(&self.session.file, job, clock::now())
        {
            self.finish(jobs.drain(..).map(|job| (job, Ok(answer.clone()))));
        }
    }

    /// Carries out all jobs in one transaction. If SQLite fails because of one of them, carries out each in a
    /// transaction of its own.
    #[expect(clippy::vec_box, reason = "as they came from the queue: a job is too large to move about")]
    fn carry_out(&mut self, jobs: &mut Vec<Box<Job>>) {
        match self.transaction(jobs) {
            Ok(answers) => self.finish(jobs.drain(..).zip(answers)),
            Err(failure) if jobs.len() == 1 || failure.is_busy() => {
                self.finish(jobs.drain(..).map(|job| (job, Err(failure.clone()))));
            }
            Err(_) => {
                let mut busy = None;
                for job in jobs.drain(..) {
                    // The first job waited in vain for another process's lock, so the others don't wait again.
                    let answer = match &busy {
                        Some(failure) => Err(Failure::clone(failure)),
                        None => self
                            .transaction(std::slice::from_ref(&job))
                            .and_then(|mut answers| answers.pop().unwrap_or(Err(Failure::Closed))),
                    };
                    busy = answer.as_ref().err().filter(|failure| failure.is_busy()).cloned();
                    self.finish(std::iter::once((job, answer)));
                }
            }
        }
    }

    fn finish(&self, answers: impl Iterator<Item = (Box<Job>, Answer)>) {
        for (job, answer) in answers {
            if job.is_ending() {
                self.notifiers.notify(&job.scope, &job.key);
            }
            if job.is_release() {
                self.route.release_done();
            }
            if job.is_claim() && matches!(&answer, Ok((reply, _)) if !matches!(reply, Reply::Acquired(_))) {
                self.route.duplicate();
            }
            job.finish(answer);
        }
    }

    /// Carries out one transaction. If it succeeds, its answers are true; if it fails, it has changed nothing.
    fn transaction(&mut self, jobs: &[Box<Job>]) -> Result<Vec<Answer>, Failure> {
        let syncs = jobs.iter().any(|job| job.needs_sync());
        match self.attempt(jobs, syncs)? {
            Some(answers) => Ok(answers),
            // A release needs a sync, as its row shows.
            None => Ok(self.attempt(jobs, true)?.unwrap_or_default()),
        }
    }

    /// Returns `None` if a sync turned out to be needed. Nothing was written then.
    fn attempt(&mut self, jobs: &[Box<Job>], syncs: bool) -> Result<Option<Vec<Answer>>, Failure> {
        let survives_power_loss = self.session.options.durability == Durability::PowerLoss;
        let syncs = syncs && survives_power_loss;
        self.session.set_sync(syncs)?;
        let may_need_sync = !syncs && survives_power_loss;
        self.session.in_transaction(|file| {
            // The clock is read under the write lock, so that nobody else changes a row between this time and the
            // decision.
            let now = clock::now();
            let mut answers = Vec::with_capacity(jobs.len());
            for job in jobs {
                let mut needs_sync = false;
                match carry_out(file, job, now, &mut needs_sync) {
                    Err(failure) if failure.is_sqlite() => return Err(failure),
                    answer => answers.push(answer),
                }
                if needs_sync && may_need_sync {
                    return Ok((false, None));
                }
            }
            Ok((true, Some(answers)))
        })
    }
}

/// Carries out one request: reads its row, decides, and writes.
fn carry_out(file: &File, job: &Job, now: Micros, needs_sync: &mut bool) -> Answer {
    if let Some(reply) = carry_out_unread(file, job, now)? {
        return Ok((reply, None));
    }
    let ((next, old), record) = rows::find(file, &job.scope, &job.key, |row| {
        let next = job.with_operation(|operation| protocol::step(row, operation, now));
        let wants_record = next.reply == Reply::Completed;
        ((next, row.copied()), wants_record)
    })?;
    let Some(mut row) = next.row else { return Ok((next.reply, record)) };
    row.purge_at = rows::settled(old.and_then(|old| old.purge_at), row.purge_at, now);
    match &old {
        None => rows::insert(file, &job.scope, &job.key, &row)?,
        Some(old) => {
            *needs_sync = job.needs_sync_over(old);
            rows::update(file, &job.scope, &job.key, &row, record_write(job, old, &row))?;
        }
    }
    Ok((next.reply, record))
}

/// Carries out what nearly every call sends: the claim of a new key, and a renewal and a completion by the holder. Its
/// statement assumes the row that such a request finds, and writes only if the key has that row, so nothing is read
/// before. `None`: the key has another row, or the request is of another kind.
fn carry_out_unread(file: &File, job: &Job, now: Micros) -> Result<Option<Reply>, Failure> {
    let assumed = match &job.ask {
        Ask::Claim { .. } => None,
        Ask::Renew { owner, fence, .. } | Ask::Complete { owner, fence, .. } => Some(running(*owner, *fence)),
        _ => return Ok(None),
    };
    let next = job.with_operation(|operation| protocol::step(assumed.as_ref(), operation, now));
    let Some(row) = next.row else { return Ok(None) };
    let written = match assumed {
        None => rows::claim(file, &job.scope, &job.key, &row, now)?,
        Some(_) => rows::hold(file, &job.scope, &job.key, &row, job.record(), now)?,
    };
    Ok(written.then_some(next.reply))
}

/// A row that this owner runs. Its other columns don't change what a renewal or a completion writes.
fn running(owner: Owner, fence: u64) -> Row {
    Row {
        state: State::Running,
        owner,
        fence,
        until: 0,
        doubt: None,
        previous: Previous::First,
        attempt: 1,
        fingerprint: None,
        ended: Ended::default(),
        purge_at: None,
    }
}

/// What the write does to the record. A row that leaves `Done` loses its record. A row that becomes `Done`, or is
/// resolved again, gets the request's record.
fn record_write<'a>(job: &'a Job, old: &Row, new: &Row) -> RecordWrite<'a> {
    match (old.state == State::Done, new.state == State::Done) {
        (_, true) => job.record().map_or(RecordWrite::Unchanged, RecordWrite::Set),
        (true, false) => RecordWrite::Clear,
        (false, false) => RecordWrite::Unchanged,
    }
}
