//! A thread that reads: it answers what needs no write, and passes the rest on to the writer.

use rusqlite::Connection;

use super::failure::Failure;
use super::job::Job;
use super::look::look;
use super::order::Order;
use super::queue::{Queue, Work};
use super::route::Route;
use crate::protocol::{Micros, Reply};
use crate::store::clock;
use crate::task::quietly;

/// How many questions one snapshot answers at most: it bounds how old the snapshot gets, and leaves some to the other
/// readers.
const BATCH: usize = 32;

/// A question that answers itself.
pub(super) type Read = Box<dyn FnOnce(&Connection, Micros) + Send>;

/// What a reader is asked.
pub(super) enum Question {
    /// A claim: answered here if that writes nothing.
    Claim(Box<Job>),
    /// Anything else.
    Read(Read),
}

/// Works until the queue is closed and empty.
pub(super) fn run(connection: &Connection, questions: &Queue<Question>, writer: &Queue<Order>, route: &Route) {
    let mut batch = Vec::new();
    loop {
        if let Work::Closed = questions.drain(&mut batch, BATCH, None) {
            return;
        }
        // Before the snapshot: a release that was sent before one of these questions is awaited, or in the snapshot.
        let leaving = route.awaits_release();
        // Before the snapshot: a row of it can then not have been renewed by this time without showing it.
        let now = clock::now();
        // One snapshot for all of them saves SQLite the locks of one for each. Where it can't be had, each statement
        // takes its own.
        let snapshot = batch.len() > 1 && execute(connection, "BEGIN").is_ok();
        for question in batch.drain(..) {
            match question {
                Question::Claim(job) => claim(connection, job, now, writer, route, leaving),
                Question::Read(read) => quietly(|| read(connection, now)),
            }
        }
        if snapshot {
            let _ = execute(connection, "COMMIT");
        }
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute([])
}

fn claim(connection: &Connection, job: Box<Job>, now: Micros, writer: &Queue<Order>, route: &Route, leaving: bool) {
    match look(connection, &job, now) {
        Ok(Some((reply, _))) if leaving && matches!(reply, Reply::InProgress { .. }) => {
            pass_on(job, writer);
        }
        Ok(Some(answer)) => {
            route.duplicate();
            job.finish(Ok(answer));
        }
        // A failed look is the writer's to report, or to do better.
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
