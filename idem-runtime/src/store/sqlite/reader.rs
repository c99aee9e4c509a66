//! A thread that reads. It answers the requests that need no write, and passes the others on to the writer.

use super::failure::Failure;
use super::file::File;
use super::job::Job;
use super::look::look;
use super::order::Order;
use super::queue::{Queue, Work};
use super::route::Route;
use crate::protocol::{Micros, Reply};
use crate::store::clock;
use crate::task::quietly;

/// How many requests one snapshot answers at most. It bounds the snapshot's age, and leaves requests for the other
/// readers.
const BATCH: usize = 32;

/// A function that reads, and sends the answer itself.
pub(super) type Read = Box<dyn FnOnce(&File, Micros) + Send>;

/// A request to a reader.
pub(super) enum Question {
    /// A claim. The reader answers it if the answer needs no write.
    Claim(Box<Job>),
    /// Anything else.
    Read(Read),
}

/// Works until the queue is closed and empty.
pub(super) fn run(file: &File, questions: &Queue<Question>, writer: &Queue<Order>, route: &Route) {
    let mut batch = Vec::new();
    loop {
        if let Work::Closed = questions.drain(&mut batch, BATCH, None) {
            return;
        }
        // Asked before the snapshot: a release that was sent before one of these requests is then either counted here,
        // or is in the snapshot.
        let leaving = route.awaits_release();
        // Read before the snapshot: a renewal before this time is then in the snapshot.
        let now = clock::now();
        // One snapshot for all requests saves SQLite taking locks for each. If `BEGIN` fails, each statement takes its
        // own.
        let snapshot = batch.len() > 1 && execute(file, "BEGIN").is_ok();
        for question in batch.drain(..) {
            match question {
                Question::Claim(job) => claim(file, job, now, writer, route, leaving),
                Question::Read(read) => quietly(|| read(file, now)),
            }
        }
        if snapshot {
            let _ = execute(file, "COMMIT");
        }
    }
}

fn execute(file: &File, sql: &str) -> rusqlite::Result<usize> {
    file.prepare_cached(sql)?.execute([])
}

fn claim(file: &File, job: Box<Job>, now: Micros, writer: &Queue<Order>, route: &Route, leaving: bool) {
    match look(file, &job, now) {
        Ok(Some((reply, _))) if leaving && matches!(reply, Reply::InProgress { .. }) => {
            pass_on(job, writer);
        }
        Ok(Some(answer)) => {
            route.duplicate();
            job.finish(Ok(answer));
        }
        // If reading failed, the writer tries again, and reports the failure if it fails too.
        Ok(None) | Err(_) => {
            route.passed_on();
            pass_on(job, writer);
        }
    }
}

fn pass_on(job: Box<Job>, writer: &Queue<Order>) {
    if let Err(Order::Job(job)) = writer.push(Order::Job(job)) {
        job.finish(Err(Failure::Closed));
    }
}
